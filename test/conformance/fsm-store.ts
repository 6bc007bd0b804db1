/** The whole law of the state machine store, for any backend that says how it is opened and how it differs. */
import { describe } from 'vitest';
import { describeAudit } from './audit.js';
import { describeConfigurations } from './configurations.js';
import { describeCost } from './cost.js';
import { describeDelete } from './delete.js';
import { describeEventsBatch } from './events-batch.js';
import { describeEventsLaw } from './events-law.js';
import { describeExpectations } from './expectations.js';
import { describeHistory } from './history.js';
import { describeHostileNames } from './hostile-names.js';
import { describeImport } from './import.js';
import { describeMachinesCreate } from './machines-create.js';
import { describeMachinesList } from './machines-list.js';
import { describeModel } from './model.js';
import { describeOutcomes } from './outcomes.js';
import { describeRetention } from './retention.js';
import { describeSnapshot } from './snapshot.js';
import { describeStorms } from './storms.js';
import type { FsmStoreProfile, Laws, OpenSubject } from './subject.js';
import { describeWatch } from './watch.js';

const THEMES: readonly Laws[] = [
  describeConfigurations,
  describeMachinesCreate,
  describeImport,
  describeEventsLaw,
  describeEventsBatch,
  describeExpectations,
  describeOutcomes,
  describeHistory,
  describeRetention,
  describeDelete,
  describeMachinesList,
  describeWatch,
  describeSnapshot,
  describeAudit,
  describeStorms,
  describeHostileNames,
  describeModel,
  describeCost,
];

export function describeFsmStore(name: string, open: OpenSubject, profile: FsmStoreProfile): void {
  describe(`the fsm store on ${name}`, () => {
    for (const theme of THEMES) theme(open, profile);
  });
}
