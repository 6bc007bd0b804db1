/** The law of the bus store on LMDB, and what holds for this backend alone. */
import type { LmdbBusStore } from '../../src/stores/lmdb/bus.js';
import { openLmdb } from '../../src/stores/lmdb/open.js';
import { describeBusStore } from '../conformance/bus/bus-store.js';
import { type BusStoreProfile, type BusSubject, Told } from '../conformance/bus/subject.js';
import { FakeClock } from '../support/fake-clock.js';
import { removeDirectory, temporaryDirectory } from '../support/processes.js';

const MAX_BYTES = 2 ** 30;

async function open(): Promise<BusSubject> {
  const dataDir = temporaryDirectory('bus-lmdb');
  const clock = new FakeClock();
  const engine = await openLmdb({ dataDir, durability: 'relaxed', clock, maxBytes: MAX_BYTES });
  const close = async () => {
    await engine.close();
    removeDirectory(dataDir);
  };
  const told = new Told();
  const store = engine.busStore(told) as LmdbBusStore;
  // Laws say what a write lets go of; the sweep in the background would be faster now and then.
  store.close();
  return { store, clock, told: [told], close };
}

const profile: BusStoreProfile = {
  sharedByProcesses: false,
  clock: 'fake',
  scales: true,
  reasons: [
    'one process owns the directory, so there is no second handle',
    'the store runs in this process and is given its clock',
  ],
};

describeBusStore('LMDB', open, profile);
