/** The model of the bus against its own laws: what they ask for can be had, and the model has it. */
import { describeBusStore } from '../conformance/bus/bus-store.js';
import { ModelBusStore } from '../conformance/bus/model-store.js';
import { type BusSubject, Told } from '../conformance/bus/subject.js';
import { FakeClock } from '../support/fake-clock.js';

async function open(): Promise<BusSubject> {
  const clock = new FakeClock();
  const told = new Told();
  const store = new ModelBusStore(clock, told);
  return { store, second: store, clock, told: [told], close: async () => {} };
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
