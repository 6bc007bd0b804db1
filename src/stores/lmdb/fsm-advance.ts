/**
 * An event takes effect: machine, history, list, outcome and feed change in one job, decided by the law
 * in machine.ts as it stands. The job reads the machine once and each event's outcome once, decides all
 * commands in order, and then stages what came of them; its cost knows nothing of how long the history
 * is or how many machines there are.
 */
import { type Edges, edgesOf } from '../../fsm/configuration.js';
import { type Answer, type Command, type Decision, decide, type StoredOutcome } from '../../fsm/machine.js';
import type { Batch } from './batch.js';
import type { FsmContext } from './fsm-context.js';
import { trimHistory } from './fsm-history.js';
import { keptOutcome, putOutcome } from './fsm-outcomes.js';
import {
  decodeMachine,
  encodeMachine,
  encodeTransition,
  type MachineRecord,
  type MachineTuple,
  type NameRecord,
} from './fsm-records.js';
import { historyKey, listedKey, machineKey, outcomeKey } from './keys.js';

/** A machine's name and id, and where it is at the start of the step. */
interface Subject {
  readonly name: string;
  readonly known: NameRecord;
  readonly id: string;
  readonly before: MachineRecord | undefined;
}

/** What the law said to one command, and the machine as the command met it. */
interface Step {
  readonly command: Command;
  readonly decision: Decision;
  readonly met: MachineRecord | undefined;
}

export function advance(
  context: FsmContext,
  name: string,
  id: string,
  commands: readonly Command[],
  signal: AbortSignal,
): Promise<Answer[]> {
  return context.writer.write(signal, (batch) => advanceIn(context, batch, name, id, commands), {
    weight: commands.length,
  });
}

function advanceIn(
  context: FsmContext,
  batch: Batch,
  name: string,
  id: string,
  commands: readonly Command[],
): Answer[] {
  const known = context.nameInBatch(batch, name);
  if (!known) return commands.map(() => ({ kind: 'configuration_not_found' }));
  const tuple = batch.get<MachineTuple>(machineKey(known.no, id));
  const subject: Subject = { name, known, id, before: tuple && decodeMachine(tuple) };
  const edges = edgesFor(context, batch, subject);
  const steps = decideAll(batch, subject, edges, commands);
  stage(context, batch, subject, steps);
  return steps.map(({ decision }) => decision.answer);
}

function edgesFor(context: FsmContext, batch: Batch, { name, known, before }: Subject): Edges | undefined {
  const version = before?.configurationVersion;
  const configuration =
    version === undefined ? undefined : context.configurationInBatch(batch, name, known.no, version);
  return configuration && edgesOf(configuration);
}

function decideAll(
  batch: Batch,
  { known, id, before }: Subject,
  edges: Edges | undefined,
  commands: readonly Command[],
): Step[] {
  const decidedHere = new Map<string, StoredOutcome>();
  let machine = before;
  return commands.map((command) => {
    const earlier =
      decidedHere.get(command.eventId) ?? keptOutcome(batch, outcomeKey(known.no, command.eventId, id));
    const decision = decide(machine, edges, command, earlier, batch.nowMs);
    const met = machine;
    if (decision.store) decidedHere.set(command.eventId, decision.store);
    if (machine && decision.move) machine = { ...machine, ...decision.move, updateTimeMs: batch.nowMs };
    return { command, decision, met };
  });
}

function stage(context: FsmContext, batch: Batch, subject: Subject, steps: readonly Step[]): void {
  const { known, id, before } = subject;
  let after = before;
  for (const { command, decision, met } of steps) {
    if (decision.store)
      putOutcome(
        batch,
        outcomeKey(known.no, command.eventId, id),
        decision.store,
        context.outcomeRetentionMs,
      );
    if (!decision.move || !met) continue;
    after = { ...met, ...decision.move, updateTimeMs: batch.nowMs };
    stageTransition(context, batch, subject, command, met, after);
  }
  if (before && after && after !== before) stageMachine(context, batch, subject, before, after);
}

function stageTransition(
  context: FsmContext,
  batch: Batch,
  { name, known, id }: Subject,
  event: Command,
  from: MachineRecord,
  to: MachineRecord,
): void {
  batch.put(historyKey(to.serial, to.version), encodeTransition(from.state, to.state, event, batch.nowMs));
  context.ledger(batch).append(known.no, name, {
    kind: 'transition',
    id,
    uid: to.uid,
    version: to.version,
    configurationVersion: to.configurationVersion,
    from: from.state,
    to: to.state,
    eventName: event.name,
    eventId: event.eventId,
    timeMs: batch.nowMs,
  });
}

function stageMachine(
  context: FsmContext,
  batch: Batch,
  { known, id }: Subject,
  before: MachineRecord,
  after: MachineRecord,
): void {
  const { no, retention } = known;
  const historyFrom = trimHistory(batch, after, after.version - before.version, retention.historyMaxCount);
  batch.put(machineKey(no, id), encodeMachine({ ...after, historyFrom }));
  if (before.state === after.state) return;
  const { configurationVersion } = after;
  batch.remove(listedKey(no, { state: before.state, configurationVersion, id }));
  batch.put(listedKey(no, { state: after.state, configurationVersion, id }), 0);
  const ledger = context.ledger(batch);
  ledger.count(no, before.state, configurationVersion, -1);
  ledger.count(no, after.state, configurationVersion, 1);
}
