/** Every field of every request of switchgear.bus.v1, held to its constraints. */
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { startBusServer } from './bus-server.js';
import { describeEveryField } from './every-field.js';

describeEveryField({
  service: BusService,
  start: startBusServer,
  meant: /token$|^cursor$|event_id$/,
  objections: /never/,
  least: { texts: 50, numbers: 15 },
});
