/** The law of delivery against the plain model, in random histories. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { DEFAULT_GROUP_SETTINGS, type EventFilter, type GroupSettings } from '../../src/bus/event.js';
import { acts, History } from './delivery-history.js';

const QUICK: GroupSettings = {
  ...DEFAULT_GROUP_SETTINGS,
  ackDeadlineMs: 1_000,
  minBackoffMs: 20,
  maxBackoffMs: 50,
};
const KINDS: readonly [string, GroupSettings, EventFilter | undefined][] = [
  ['whose leases expire', { ...QUICK, maxAttempts: 0 }, undefined],
  ['that gives up', { ...QUICK, ackDeadlineMs: 10_000_000, maxAttempts: 2 }, undefined],
  ['with a filter', { ...QUICK, maxAttempts: 0 }, { types: ['even'], attributes: {} }],
];

describe('a group', () => {
  it.each(KINDS)('%s answers as the model does, whatever happens to it', (_, settings, filter) => {
    fc.assert(
      fc.property(acts, (history) => new History(settings, filter).run(history)),
      { numRuns: 300 },
    );
  });
});
