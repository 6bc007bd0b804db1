/**
 * A machine comes with its past: what `decideImport` finds new in a chunk is staged in one job, the same
 * records that creating the machine and applying its events would have left.
 */
import { Fault } from '../../fault.js';
import { type Chunk, decideImport, IMPORT_MARK, type ImportDecision, type Kept } from '../../fsm/import.js';
import type { Outcome } from '../../fsm/machine.js';
import type { ImportAnswer } from '../../fsm/store.js';
import type { Batch } from './batch.js';
import type { FsmContext } from './fsm-context.js';
import { trimHistory } from './fsm-history.js';
import { changeOf } from './fsm-machines.js';
import { keptOutcome, putOutcome } from './fsm-outcomes.js';
import {
  decodeMachine,
  encodeMachine,
  encodeTransition,
  type MachineRecord,
  type MachineTuple,
  machineOf,
  type NameRecord,
  type TransitionTuple,
} from './fsm-records.js';
import { historyKey, listedKey, machineKey, outcomeKey } from './keys.js';

type News = Extract<ImportDecision, { kind: 'import' }>;

/** One chunk on its way into one batch. */
interface Step {
  readonly context: FsmContext;
  readonly batch: Batch;
  readonly chunk: Chunk;
  readonly known: NameRecord;
}

export function importMachine(context: FsmContext, chunk: Chunk, signal: AbortSignal): Promise<ImportAnswer> {
  return context.writer.write(signal, (batch) => importIn(context, batch, chunk), {
    weight: 1 + chunk.history.length + chunk.refused.length,
  });
}

function importIn(context: FsmContext, batch: Batch, chunk: Chunk): ImportAnswer {
  const { configurationName: name, id } = chunk;
  const known = context.nameInBatch(batch, name);
  if (!known)
    throw new Fault('CONFIGURATION_NOT_FOUND', `there is no configuration ${name}`, { facts: { name } });
  const step: Step = { context, batch, chunk, known };
  const tuple = batch.get<MachineTuple>(machineKey(known.no, id));
  const before = tuple && decodeMachine(tuple);
  const decision = decideImport(before, chunk, keptBy(step, before));
  if (decision.kind === 'import') return stage(step, before, decision);
  if (decision.kind === 'fsm_not_found' || decision.kind === 'event_id_reused') return decision;
  if (!before) throw new Fault('INTERNAL', 'no machine is there to be in the way');
  return { ...decision, machine: machineOf(name, id, before) };
}

function keptBy({ batch, chunk, known }: Step, machine: MachineRecord | undefined): Kept {
  return {
    eventIdAt: (version) => {
      if (!machine || version < machine.historyFrom) return undefined;
      return batch.get<TransitionTuple>(historyKey(machine.serial, version))?.[2];
    },
    outcomeOf: (eventId) => keptOutcome(batch, outcomeKey(known.no, eventId, chunk.id)),
  };
}

function stage(step: Step, before: MachineRecord | undefined, news: News): ImportAnswer {
  const { chunk } = step;
  const start = before ?? stageFirst(step, news);
  const after = stageHistory(step, start, news);
  for (const { event, bodyHash, state, version } of news.refused) {
    const { configurationVersion } = chunk;
    stageOutcome(step, start.uid, event.eventId, bodyHash, {
      kind: 'not_allowed',
      state,
      version,
      configurationVersion,
      timeMs: step.batch.nowMs,
    });
  }
  if (!before || after !== before) stageMachine(step, before, after);
  return {
    kind: 'imported',
    machine: machineOf(chunk.configurationName, chunk.id, after),
    written: !before || news.history.length > 0 || news.refused.length > 0,
  };
}

/** Announces the machine; its record and its place in the list are staged once, with where it ends. */
function stageFirst({ context, batch, chunk, known }: Step, { startState }: News): MachineRecord {
  const { configurationName: name, configurationVersion, id, uid, importId } = chunk;
  const ledger = context.ledger(batch);
  const record: MachineRecord = {
    uid,
    state: startState,
    version: 0,
    configurationVersion,
    createTimeMs: batch.nowMs,
    updateTimeMs: batch.nowMs,
    serial: ledger.nextSerial(),
    historyFrom: 1,
    firstState: startState,
    requestId: importId,
    requestHash: IMPORT_MARK,
  };
  ledger.append(known.no, name, { ...changeOf(id, record, batch.nowMs), kind: 'created', to: startState });
  return record;
}

/** Returns where the machine is after the new entries. */
function stageHistory(step: Step, start: MachineRecord, { history }: News): MachineRecord {
  const { context, batch, chunk, known } = step;
  let machine = start;
  for (const { from, to, event, bodyHash } of history) {
    machine = { ...machine, state: to, version: machine.version + 1, updateTimeMs: batch.nowMs };
    const { version } = machine;
    batch.put(historyKey(machine.serial, version), encodeTransition(from, to, event, batch.nowMs));
    context.ledger(batch).append(known.no, chunk.configurationName, {
      ...changeOf(chunk.id, machine, batch.nowMs),
      kind: 'transition',
      from,
      to,
      eventName: event.name,
      eventId: event.eventId,
    });
    const outcome = { kind: 'applied', from, to, version, timeMs: batch.nowMs } as const;
    stageOutcome(step, machine.uid, event.eventId, bodyHash, outcome);
  }
  return machine;
}

function stageOutcome(
  { context, batch, chunk, known }: Step,
  uid: string,
  eventId: string,
  bodyHash: string,
  outcome: Outcome,
): void {
  const key = outcomeKey(known.no, eventId, chunk.id);
  putOutcome(batch, key, { outcome, bodyHash, uid }, context.outcomeRetentionMs);
}

function stageMachine(
  { context, batch, chunk: { id }, known }: Step,
  before: MachineRecord | undefined,
  after: MachineRecord,
): void {
  const { no, retention } = known;
  const { state, configurationVersion } = after;
  const events = after.version - (before?.version ?? 0);
  const historyFrom = trimHistory(batch, after, events, retention.historyMaxCount);
  batch.put(machineKey(no, id), encodeMachine({ ...after, historyFrom }));
  if (before?.state === state) return;
  const ledger = context.ledger(batch);
  if (before) {
    batch.remove(listedKey(no, { state: before.state, configurationVersion, id }));
    ledger.count(no, before.state, configurationVersion, -1);
  }
  batch.put(listedKey(no, { state, configurationVersion, id }), 0);
  ledger.count(no, state, configurationVersion, 1);
}
