/** What can be said about a configuration without a store. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allowedEvents,
  type ConfigurationContent,
  contentHash,
  edgesOf,
  lint,
  type Transition,
  transitionsFrom,
  warnings,
} from '../../src/fsm/configuration.js';

const edge = (from: string, event: string, to: string): Transition => ({ from, event, to });

function content(changes: Partial<ConfigurationContent> = {}): ConfigurationContent {
  return {
    name: 'door',
    version: 'v1',
    states: ['closed', 'open'],
    transitions: [edge('closed', 'open', 'open'), edge('open', 'close', 'closed')],
    startingState: 'closed',
    finalStates: [],
    ...changes,
  };
}

const fields = (changes: Partial<ConfigurationContent>) => lint(content(changes)).map(({ field }) => field);

describe('lint', () => {
  it('finds nothing in a sound configuration', () => {
    expect(lint(content())).toEqual([]);
    expect(lint(content({ finalStates: ['open'] }))).toEqual([]);
  });

  it('accepts a single state without transitions, and with one to itself', () => {
    expect(fields({ states: ['on'], transitions: [], startingState: 'on' })).toEqual([]);
    expect(fields({ states: ['on'], transitions: [edge('on', 'tick', 'on')], startingState: 'on' })).toEqual(
      [],
    );
  });

  it.each<[string, Partial<ConfigurationContent>, string[]]>([
    ['no name', { name: '' }, ['name']],
    ['no version', { version: '' }, ['version']],
    ['no state', { states: [], transitions: [] }, ['states', 'starting_state']],
    ['no starting state', { startingState: '' }, ['starting_state']],
    ['an unknown starting state', { startingState: 'ajar' }, ['starting_state']],
    [
      'an unknown from',
      { transitions: [...content().transitions, edge('ajar', 'x', 'open')] },
      ['transitions[2].from'],
    ],
    [
      'an unknown to',
      { transitions: [...content().transitions, edge('open', 'x', 'ajar')] },
      ['transitions[2].to'],
    ],
    ['an event without name', { transitions: [edge('closed', '', 'open')] }, ['transitions[0].event']],
    ['a state of no transition', { states: ['closed', 'open', 'ajar'] }, ['states[2]']],
    ['two states and no transition', { transitions: [] }, ['states[0]', 'states[1]']],
    ['an unknown final state', { finalStates: ['open', 'ajar'] }, ['final_states[1]']],
  ])('names the field of %s', (_, changes, expected) => {
    expect(fields(changes)).toEqual(expected);
  });

  it('reports everything at once', () => {
    const broken = { name: '', version: '', startingState: 'x', transitions: [edge('a', '', 'b')] };
    expect(fields(broken)).toEqual([
      'name',
      'version',
      'starting_state',
      'transitions[0].from',
      'transitions[0].to',
      'transitions[0].event',
      'states[0]',
      'states[1]',
    ]);
  });

  it('refuses a repeated (from, event), and names the first, unless repeats are allowed', () => {
    const repeated = content({ transitions: [...content().transitions, edge('closed', 'open', 'closed')] });
    const [violation, ...others] = lint(repeated);
    expect(violation).toMatchObject({
      field: 'transitions[2]',
      description: expect.stringContaining('transitions[0]'),
    });
    expect(others).toEqual([]);
    expect(lint(repeated, { allowRepeatedEdges: true })).toEqual([]);
  });

  it('does not take edges for repeated whose texts only run together alike', () => {
    const states = ['a', 'ab', 'a","b'];
    const transitions = [
      edge('a', 'bc', 'ab'),
      edge('ab', 'c', 'a'),
      edge('a","b', 'c', 'a'),
      edge('a', 'b","c', 'a'),
    ];
    expect(fields({ states, transitions, startingState: 'a' })).toEqual([]);
  });
});

describe('warnings', () => {
  it('are none where every state is reached and left', () => {
    expect(warnings(content())).toEqual([]);
  });

  it('name what is not reachable from the starting state, round trips included', () => {
    const states = ['a', 'b', 'c', 'd'];
    const transitions = [edge('a', 'x', 'b'), edge('b', 'x', 'a'), edge('c', 'x', 'd'), edge('d', 'x', 'c')];
    expect(warnings(content({ states, transitions, startingState: 'a' }))).toEqual([
      { kind: 'unreachable', state: 'c' },
      { kind: 'unreachable', state: 'd' },
    ]);
  });

  it('name a dead end unless it is declared final', () => {
    const transitions = [edge('closed', 'open', 'open')];
    expect(warnings(content({ transitions }))).toEqual([{ kind: 'dead_end', state: 'open' }]);
    expect(warnings(content({ transitions, finalStates: ['open'] }))).toEqual([]);
  });

  it('do not take a way to itself for a dead end', () => {
    expect(
      warnings(content({ states: ['on'], transitions: [edge('on', 'tick', 'on')], startingState: 'on' })),
    ).toEqual([]);
  });

  it('walk ten thousand transitions at once', () => {
    const states = Array.from({ length: 1000 }, (_, i) => `s${i}`);
    const transitions = Array.from({ length: 10_000 }, (_, i) =>
      edge(`s${i % 1000}`, `e${Math.floor(i / 1000)}`, `s${(i + 1) % 1000}`),
    );
    expect(warnings(content({ states, transitions, startingState: 's0' }))).toEqual([]);
  });
});

describe('the content hash', () => {
  it('is the same for equal content, whatever else the object holds', () => {
    expect(contentHash({ ...content(), ...{ createTimeMs: 5 } })).toBe(contentHash(content()));
  });

  it.each<[string, Partial<ConfigurationContent>]>([
    ['name', { name: 'x' }],
    ['version', { version: 'x' }],
    ['states', { states: ['closed', 'open', 'x'] }],
    ['order of states', { states: ['open', 'closed'] }],
    ['order of transitions', { transitions: [...content().transitions].reverse() }],
    ['one transition', { transitions: [edge('closed', 'open', 'closed'), edge('open', 'close', 'closed')] }],
    ['starting state', { startingState: 'open' }],
    ['final states', { finalStates: ['open'] }],
  ])('differs with the %s', (_, changes) => {
    expect(contentHash(content(changes))).not.toBe(contentHash(content()));
  });

  it('differs wherever the same texts are split among the fields', () => {
    const variants: Partial<ConfigurationContent>[] = [
      { name: 'ab', version: 'c' },
      { name: 'a', version: 'bc' },
      { name: 'a","b', version: 'c' },
      { name: 'a', version: 'b","c' },
      { states: ['ab', 'c'] },
      { states: ['a', 'bc'] },
      { states: ['abc'] },
      { states: ['a","bc'] },
      { states: ['a', 'b'], finalStates: ['c'] },
      { states: ['a'], finalStates: ['b', 'c'] },
      { transitions: [edge('a', 'b', 'c')] },
      { transitions: [edge('ab', '', 'c')] },
      { transitions: [edge('a', 'c', 'b')] },
      { transitions: [edge('a', 'b', 'c'), edge('', '', '')] },
    ];
    const hashes = variants.map((changes) => contentHash(content(changes)));
    expect(new Set(hashes).size).toBe(variants.length);
  });
});

describe('what leads out of a state', () => {
  const transitions = [
    edge('a', 'go', 'b'),
    edge('b', 'go', 'a'),
    edge('a', 'stay', 'a'),
    edge('a', 'go', 'c'),
    edge('c', 'stay', 'c'),
  ];
  const given = content({ states: ['a', 'b', 'c'], transitions, startingState: 'a' });

  it('comes in the order of the configuration, and of a repeated event the first', () => {
    expect(transitionsFrom(given, 'a')).toEqual([transitions[0], transitions[2]]);
    expect(allowedEvents(given, 'a')).toEqual(['go', 'stay']);
    expect(allowedEvents(given, 'nowhere')).toEqual([]);
  });

  it('is what the compiled edges say, for every state and event', () => {
    const name = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
    const edges = fc.array(fc.record({ from: name, event: name, to: name }), { maxLength: 20 });
    fc.assert(
      fc.property(edges, name, name, (all, state, event) => {
        const some = content({ transitions: all });
        const found = transitionsFrom(some, state).find((each) => each.event === event);
        expect(edgesOf(some).get(event)?.get(state)).toBe(found?.to);
      }),
    );
  });

  it('is compiled once for an object', () => {
    expect(edgesOf(given)).toBe(edgesOf(given));
    expect(edgesOf({ ...given })).not.toBe(edgesOf(given));
  });
});
