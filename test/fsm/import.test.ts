/** The law of an import as a table, and what a chunk may not say. */
import { describe, expect, it } from 'vitest';
import {
  type Chunk,
  decideImport,
  IMPORT_MARK,
  type ImportedPosition,
  type Kept,
  lintChunk,
} from '../../src/fsm/import.js';
import type { StoredOutcome } from '../../src/fsm/machine.js';
import { chunk, refusal, swinging } from '../conformance/past.js';
import { content } from '../conformance/subject.js';

const THERE: ImportedPosition = {
  uid: 'uid',
  state: 'closed',
  version: 2,
  configurationVersion: 'v1',
  requestId: 'import-1',
  requestHash: IMPORT_MARK,
};

/** A store that holds e1, e2, ... in the history and no outcomes but those given. */
function kept(outcomes: Readonly<Record<string, StoredOutcome>> = {}): Kept {
  return { eventIdAt: (version) => `e${version}`, outcomeOf: (eventId) => outcomes[eventId] };
}

const stored = (kind: 'final' | 'passing', bodyHash: string): StoredOutcome => ({
  outcome:
    kind === 'final'
      ? { kind: 'applied', from: 'a', to: 'b', version: 1, timeMs: 0 }
      : { kind: 'fsm_not_found', timeMs: 0 },
  bodyHash,
  uid: '',
});

const at = (firstVersion: number, count: number, changes: Partial<Chunk> = {}) =>
  chunk('door', swinging(firstVersion, count), { firstVersion, ...changes });

describe('a chunk', () => {
  it.each<[string, ImportedPosition | undefined, Chunk, object]>([
    ['is all new without a machine', undefined, at(1, 3), { startState: 'closed', history: { length: 3 } }],
    ['needs a machine unless it is the first', undefined, at(2, 3), { kind: 'fsm_not_found' }],
    ['goes on where the machine is', THERE, at(3, 2), { kind: 'import', history: { length: 2 } }],
    ['is new as far as it goes on', THERE, at(1, 5), { kind: 'import', history: { length: 3 } }],
    ['may be there whole', THERE, at(1, 2), { kind: 'import', history: { length: 0 } }],
    ['may end below the machine', THERE, at(1, 1), { kind: 'import', history: { length: 0 } }],
    ['may not leave a gap', THERE, at(4, 1), { kind: 'exists' }],
    ['is of one import', THERE, at(3, 1, { importId: 'other' }), { kind: 'exists' }],
    ['is of one version', THERE, at(3, 1, { configurationVersion: 'v2' }), { kind: 'exists' }],
    ['meets no created machine', { ...THERE, requestHash: 'h' }, at(3, 1), { kind: 'exists' }],
    ['is another when its events are', THERE, chunk('door', swinging(7, 2)), { kind: 'exists' }],
    ['starts where the machine is', { ...THERE, state: 'open' }, at(1, 3), { kind: 'broken', index: 2 }],
  ])('%s', (_, machine, asked, decision) => {
    expect(decideImport(machine, asked, kept())).toMatchObject(decision);
  });

  it('believes entries that are no longer kept', () => {
    const trimmed = { ...kept(), eventIdAt: () => undefined };
    expect(decideImport(THERE, chunk('door', swinging(7, 2)), trimmed).kind).toBe('import');
  });

  it('may not use an id whose final outcome is for another body, also for a refusal', () => {
    const reused = { kind: 'event_id_reused', eventId: 'e2' };
    expect(decideImport(undefined, at(1, 3), kept({ e2: stored('final', 'other') }))).toEqual(reused);
    expect(decideImport(undefined, at(1, 3), kept({ e2: stored('passing', 'other') })).kind).toBe('import');
    expect(decideImport(THERE, at(1, 2), kept({ e2: stored('final', 'other') })).kind).toBe('import');
    const refused = [refusal('e2', 'closed', 0)];
    const asked = at(3, 1, { refused });
    expect(decideImport(THERE, asked, kept({ e2: stored('final', 'other') }))).toEqual(reused);
    const known = kept({ e2: stored('final', refused[0]?.bodyHash ?? '') });
    expect(decideImport(THERE, asked, known)).toMatchObject({ refused: [] });
  });
});

describe('the check of a chunk', () => {
  const door = { ...content(), createTimeMs: 0 };
  const fields = (asked: Chunk) => lintChunk(asked, door).map(({ field }) => field);

  it('finds nothing wrong with one that is right', () => {
    expect(fields(at(1, 3, { refused: [refusal('r', 'locked', 1)] }))).toEqual([]);
    expect(fields(at(1, 0))).toEqual([]);
  });

  it('names everything that is wrong', () => {
    const [first, second, third] = swinging(1, 3);
    if (!first || !second || !third) throw new Error('three were asked for');
    const history = [first, { ...second, to: 'nowhere' }, { ...third, event: first.event }];
    const refused = [refusal('', 'nowhere', 0)];
    expect(fields(chunk('door', history, { state: 'locked', refused }))).toEqual([
      'history[1].to',
      'history[2].from',
      'state',
      'refused[0].state',
      'history[2].event.event_id',
      'refused[0].event.event_id',
    ]);
  });
});
