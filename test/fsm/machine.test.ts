/** The law of an event as a table, and what the hashes and ids hold. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { edgesOf } from '../../src/fsm/configuration.js';
import {
  bodyHash,
  type Command,
  decide,
  isFinal,
  machineIdFor,
  type Outcome,
  type Position,
  type StoredOutcome,
} from '../../src/fsm/machine.js';

const EDGES = edgesOf({
  name: 'door',
  version: 'v1',
  states: ['closed', 'open'],
  transitions: [
    { from: 'closed', event: 'open', to: 'open' },
    { from: 'open', event: 'close', to: 'closed' },
    { from: 'closed', event: 'knock', to: 'closed' },
  ],
  startingState: 'closed',
  finalStates: [],
});

const MACHINE: Position = { uid: 'u', state: 'closed', version: 4, configurationVersion: 'v1' };
const NOW = 1000;

function command(name: string, changes: Partial<Command> = {}): Command {
  const event = { eventId: 'e', name, originator: 'o', details: '', timestampUs: 0, ...changes };
  return { ...event, bodyHash: bodyHash(event) };
}

const APPLIED: Outcome = { kind: 'applied', from: 'closed', to: 'open', version: 5, timeMs: NOW };
const REFUSED: Outcome = {
  kind: 'not_allowed',
  state: 'closed',
  version: 4,
  configurationVersion: 'v1',
  timeMs: NOW,
};
const MISMATCH: Outcome = { kind: 'version_mismatch', actualState: 'closed', actualVersion: 4, timeMs: NOW };
const ABSENT: Outcome = { kind: 'fsm_not_found', timeMs: NOW };

describe('a decision', () => {
  it.each<[string, Position | undefined, Command, Outcome]>([
    ['moves along an edge', MACHINE, command('open'), APPLIED],
    ['moves to the same state', MACHINE, command('knock'), { ...APPLIED, to: 'closed' }],
    ['refuses what its state does not allow', MACHINE, command('close'), REFUSED],
    ['refuses what no state allows', MACHINE, command('unheard'), REFUSED],
    ['finds no machine', undefined, command('open'), ABSENT],
    [
      'finds no machine before it looks at expectations',
      undefined,
      command('open', { expectedVersion: 1 }),
      ABSENT,
    ],
    ['meets an expected version', MACHINE, command('open', { expectedVersion: 4 }), APPLIED],
    ['misses an expected version', MACHINE, command('open', { expectedVersion: 3 }), MISMATCH],
    ['misses an expected version of 0', MACHINE, command('open', { expectedVersion: 0 }), MISMATCH],
    ['meets an expected state', MACHINE, command('open', { expectedState: 'closed' }), APPLIED],
    ['misses an expected state', MACHINE, command('open', { expectedState: 'open' }), MISMATCH],
    ['misses an empty expected state', MACHINE, command('open', { expectedState: '' }), MISMATCH],
    ['needs both', MACHINE, command('open', { expectedVersion: 4, expectedState: 'open' }), MISMATCH],
    ['says MISMATCH rather than a refusal', MACHINE, command('close', { expectedVersion: 3 }), MISMATCH],
  ])('%s', (_, machine, sent, outcome) => {
    const decision = decide(machine, EDGES, sent, undefined, NOW);
    expect(decision.answer).toEqual({ kind: 'outcome', outcome, replayed: false });
    expect(decision.store).toEqual({ outcome, bodyHash: sent.bodyHash, uid: machine?.uid ?? '' });
    const move = outcome.kind === 'applied' ? { state: outcome.to, version: outcome.version } : undefined;
    expect(decision.move).toEqual(move);
  });

  it('without edges allows nothing', () => {
    expect(decide(MACHINE, undefined, command('open'), undefined, NOW).answer).toMatchObject({
      outcome: REFUSED,
    });
  });

  it.each([APPLIED, REFUSED])('replays $kind as it was and writes nothing', (outcome) => {
    const earlier: StoredOutcome = { outcome, bodyHash: command('open').bodyHash, uid: 'before' };
    for (const machine of [MACHINE, undefined, { ...MACHINE, state: 'open', version: 9 }])
      for (const expectation of [{}, { expectedVersion: 77 }, { expectedState: 'open' }, { timestampUs: 5 }])
        expect(decide(machine, EDGES, command('open', expectation), earlier, 2000)).toEqual({
          answer: { kind: 'outcome', outcome, replayed: true },
        });
  });

  it.each([APPLIED, REFUSED])('refuses another body after $kind and writes nothing', (outcome) => {
    const earlier: StoredOutcome = { outcome, bodyHash: 'other', uid: 'u' };
    expect(decide(MACHINE, EDGES, command('open'), earlier, NOW)).toEqual({
      answer: { kind: 'event_id_reused' },
    });
  });

  it.each([MISMATCH, ABSENT])('evaluates afresh after $kind, also another body', (outcome) => {
    for (const hash of [command('open').bodyHash, 'other']) {
      const decision = decide(MACHINE, EDGES, command('open'), { outcome, bodyHash: hash, uid: '' }, NOW);
      expect(decision.answer).toEqual({ kind: 'outcome', outcome: APPLIED, replayed: false });
      expect(decision.store?.uid).toBe('u');
    }
  });

  it('is final when it is APPLIED or EVENT_NOT_ALLOWED', () => {
    expect([APPLIED, REFUSED, MISMATCH, ABSENT].map(isFinal)).toEqual([true, true, false, false]);
  });

  it('raises the version by one exactly when it moves, in any sequence', () => {
    const names = fc.array(fc.constantFrom('open', 'close', 'knock', 'none'), { maxLength: 30 });
    fc.assert(
      fc.property(names, (sent) => {
        let machine = MACHINE;
        for (const name of sent) {
          const { move } = decide(machine, EDGES, command(name), undefined, NOW);
          const to = EDGES.get(name)?.get(machine.state);
          expect(move).toEqual(to === undefined ? undefined : { state: to, version: machine.version + 1 });
          machine = { ...machine, ...move };
        }
      }),
    );
  });
});

describe('the hash of a body', () => {
  const body = { name: 'n', originator: 'o', details: 'd' };

  it('is 128 bits of text, and the same for the same body', () => {
    expect(bodyHash(body)).toMatch(/^[\w-]{22}$/);
    expect(bodyHash({ ...body })).toBe(bodyHash(body));
  });

  it('does not look at id, timestamp and expectations', () => {
    const one = command('open');
    const other = command('open', { eventId: 'x', timestampUs: 9, expectedVersion: 1, expectedState: 's' });
    expect(other.bodyHash).toBe(one.bodyHash);
  });

  it('never runs name, originator and details together, wherever one text is split', () => {
    const texts = fc.string({
      unit: fc.constantFrom('0', '1', '2', ':', 'a', 'é', '\u{1F6AA}', '\u0000'),
      maxLength: 9,
    });
    fc.assert(
      fc.property(texts, (text) => {
        const cuts = Array.from({ length: text.length + 1 }, (_, i) => i);
        const splits = cuts.flatMap((i) =>
          cuts.slice(i).map((j) => [text.slice(0, i), text.slice(i, j), text.slice(j)]),
        );
        // Half of a surrogate pair is no UTF-8, and no name either.
        const sound = splits.filter((parts) => parts.every((part) => Buffer.from(part).toString() === part));
        const hashes = sound.map(([name = '', originator = '', details = '']) =>
          bodyHash({ name, originator, details }),
        );
        expect(new Set(hashes).size).toBe(sound.length);
      }),
    );
    expect(bodyHash({ name: 'n1:o', originator: '', details: 'd' })).not.toBe(bodyHash(body));
  });
});

describe('the id of a machine whose creator gave none', () => {
  it('is random without a request id', () => {
    expect(machineIdFor('door', '')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(machineIdFor('door', '')).not.toBe(machineIdFor('door', ''));
  });

  it('is the same for the same request, and looks alike', () => {
    expect(machineIdFor('door', 'r')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(machineIdFor('door', 'r')).toBe(machineIdFor('door', 'r'));
  });

  it('differs with the configuration name and with the request id, wherever they are split', () => {
    const ids = [
      ['a', 'bc'],
      ['ab', 'c'],
      ['a"', 'b'],
      ['a', '"b'],
      ['a","b', 'c'],
      ['a', 'b","c'],
    ].map(([name = '', requestId = '']) => machineIdFor(name, requestId));
    expect(new Set(ids).size).toBe(ids.length);
  });
});
