/** Every field of every request of switchgear.fsm.v1, held to its constraints. */
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { describeEveryField } from './every-field.js';
import { startFsmServer } from './fsm-server.js';

describeEveryField({
  service: FsmService,
  start: startFsmServer,
  meant: /token$|^cursor$/,
  // A state that the configuration does not have is refused for that, not for its form.
  objections: /state|token|contradicts/,
  least: { texts: 40, numbers: 8 },
});
