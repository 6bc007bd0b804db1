/** Pasts of a door, to be imported: what a law of imports says them in. */
import type { Chunk, PastTransition, RefusedEvent } from '../../src/fsm/import.js';
import type { ImportAnswer } from '../../src/fsm/store.js';
import { command } from './subject.js';

/** Transitions through `states`, whose events are called e1, e2, ... from `first` on. */
export function past(states: readonly string[], first = 1, originator = 'elsewhere'): PastTransition[] {
  return states.slice(1).map((to, i) => {
    const { bodyHash, ...event } = command('walk', `e${first + i}`, { originator, details: `step ${i}` });
    return { from: states[i] ?? '', to, event, bodyHash };
  });
}

/** A door that is closed and open in turns. */
export function swinging(first: number, count: number): PastTransition[] {
  const at = (version: number) => (version % 2 === 0 ? 'closed' : 'open');
  return past(
    Array.from({ length: count + 1 }, (_, i) => at(first - 1 + i)),
    first,
  );
}

/** An event that is refused in any state of the door but one. */
export function refusal(eventId: string, state: string, version: number): RefusedEvent {
  const { bodyHash, ...event } = command('unlock', eventId);
  return { event, bodyHash, state, version };
}

/** A chunk of the past of machine `m`, which starts at its beginning. */
export function chunk(name: string, history: readonly PastTransition[], changes: Partial<Chunk> = {}): Chunk {
  return {
    configurationName: name,
    configurationVersion: 'v1',
    id: 'm',
    uid: 'uid',
    importId: 'import-1',
    firstVersion: 1,
    history,
    state: history.at(-1)?.to ?? 'closed',
    refused: [],
    ...changes,
  };
}

/** An answer in a word or two. */
export function word(answer: ImportAnswer): string {
  if (answer.kind !== 'imported') return answer.kind;
  return answer.written ? 'written' : 'there already';
}
