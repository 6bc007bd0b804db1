/** The whole law of the bus store, for any backend that says how it is opened and how it differs. */
import { describe } from 'vitest';
import { describeClaim } from './claim.js';
import { describeCost } from './cost.js';
import { describeDeadLetters } from './dead-letters.js';
import { describeFacts } from './facts.js';
import { describeGroups } from './groups.js';
import { describeHeldKey } from './held-key.js';
import { describeKeys } from './keys.js';
import { describeLeases } from './leases.js';
import { describeMarksWithToken } from './marks-with-token.js';
import { describeMarksWithoutToken } from './marks-without-token.js';
import { describeModel } from './model.js';
import { describeRead } from './read.js';
import { describeStorms } from './storms.js';
import { describeStreams } from './streams.js';
import type { BusLaws, BusStoreProfile, OpenBus } from './subject.js';
import { describeTrimmed } from './trimmed.js';
import { describeWake } from './wake.js';
import { describeWrite } from './write.js';

const THEMES: readonly BusLaws[] = [
  describeStreams,
  describeWrite,
  describeRead,
  describeClaim,
  describeMarksWithToken,
  describeMarksWithoutToken,
  describeLeases,
  describeKeys,
  describeHeldKey,
  describeGroups,
  describeFacts,
  describeTrimmed,
  describeDeadLetters,
  describeWake,
  describeStorms,
  describeModel,
  describeCost,
];

export function describeBusStore(name: string, open: OpenBus, profile: BusStoreProfile): void {
  describe(`the bus store on ${name}`, () => {
    for (const theme of THEMES) theme(open, profile);
  });
}
