/** The model of the bus against its own laws: what they ask for can be had, and the model has it. */

import { describeBusStore } from '../conformance/bus/bus-store.js';
import { ModelBusStore } from '../conformance/bus/model-store.js';
import type { BusSubject } from '../conformance/bus/subject.js';
import { FakeClock } from '../support/fake-clock.js';

async function open(): Promise<BusSubject> {
  const clock = new FakeClock();
  const store = new ModelBusStore(clock);
  return { store, second: store, clock, close: async () => {} };
}

describeBusStore('plain maps', open, {
  sharedByProcesses: false,
  clock: 'fake',
  scales: false,
  reasons: [
    'it is one object in this process, and is given its clock',
    'it looks through everything it has, each time',
  ],
});
