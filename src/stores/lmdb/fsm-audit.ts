/**
 * Proves that records and list agree: every machine has its place in the list, and every place its
 * machine. Each chunk is one snapshot, so a pair is always compared as it was at one moment, while
 * events go on between chunks.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditProgress, IndexDifference } from '../../fsm/store.js';
import { entriesIn, keysIn, read } from './environment.js';
import type { FsmContext } from './fsm-context.js';
import type { MachineTuple } from './fsm-records.js';
import {
  listedKey,
  listedPlaceIn,
  listedPrefix,
  machineIdIn,
  machineKey,
  type Range,
  rangeOf,
} from './keys.js';

const CHUNK = 500;

interface Chunk {
  readonly scanned: number;
  readonly differences: IndexDifference[];
  /** Where the next one begins; undefined = this was the last. */
  readonly next: Buffer | undefined;
}

export async function* auditIndex(
  context: FsmContext,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<AuditProgress> {
  const no = await read(signal, () => context.name(name)?.no);
  if (no === undefined) return;
  let machinesScanned = 0;
  for await (const { scanned, differences } of chunks(rangeOf(machineKey(no, '')), signal, (range) =>
    compareMachines(context, no, range),
  )) {
    machinesScanned += scanned;
    yield { machinesScanned, entriesScanned: 0, differences };
  }
  let entriesScanned = 0;
  for await (const { scanned, differences } of chunks(rangeOf(listedPrefix(no)), signal, (range) =>
    comparePlaces(context, no, range),
  )) {
    entriesScanned += scanned;
    yield { machinesScanned, entriesScanned, differences };
  }
}

async function* chunks(
  all: Range,
  signal: AbortSignal,
  compare: (range: Range) => Chunk,
): AsyncGenerator<Chunk> {
  for (let start: Buffer | undefined = all.start; start; ) {
    signal.throwIfAborted();
    const range: Range = { start, end: all.end };
    const chunk: Chunk = await read(signal, () => compare(range));
    yield chunk;
    start = chunk.next;
    await nextTurn();
  }
}

function compareMachines({ db }: FsmContext, no: number, range: Range): Chunk {
  const entries = entriesIn<MachineTuple>(db, range, { limit: CHUNK });
  const differences = entries.flatMap(({ key, value }): IndexDifference[] => {
    const [, state, , configurationVersion] = value;
    const id = machineIdIn(key);
    const listed = db.doesExist(listedKey(no, { state, configurationVersion, id }));
    return listed ? [] : [{ id, recordedState: state, listedState: undefined }];
  });
  return { scanned: entries.length, differences, next: nextStart(entries.map(({ key }) => key)) };
}

function comparePlaces({ db }: FsmContext, no: number, range: Range): Chunk {
  const keys = keysIn(db, range, CHUNK);
  const differences = keys.flatMap((key): IndexDifference[] => {
    const { state, configurationVersion, id } = listedPlaceIn(key);
    const record = db.get(machineKey(no, id)) as MachineTuple | undefined;
    if (record?.[1] === state && record[3] === configurationVersion) return [];
    return [{ id, recordedState: record?.[1], listedState: state }];
  });
  return { scanned: keys.length, differences, next: nextStart(keys) };
}

function nextStart(keys: readonly Buffer[]): Buffer | undefined {
  const last = keys.at(-1);
  return last && keys.length === CHUNK ? Buffer.concat([last, Buffer.alloc(1)]) : undefined;
}
