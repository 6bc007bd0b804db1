/** `switchgear fsm`: what concerns single events: send, outcome, event. Many at once: fsm-bulk.ts. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { EffectUnknownError, messageToJson, type SendInit } from '../client/index.js';
import { exitOfOutcome, InputError } from './exit.js';
import { sendFile } from './fsm-bulk.js';
import { outcomeFields } from './fsm-views.js';
import { type Answer, connected, type Invocation, type Io, leaf } from './invocation.js';
import { wholeNumber } from './numbers.js';

export function addEventCommands(fsm: Command, io: Io): void {
  addSend(fsm, io);
  addOutcome(fsm, io);
  addEvent(fsm, io);
}

interface SendOptions {
  readonly file?: string;
  readonly eventId?: string;
  readonly originator?: string;
  readonly details?: string;
  readonly expectedVersion?: number;
  readonly expectedState?: string;
}

function addSend(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'send', 'send an event to a machine, or many from a file')
    .argument('[config]', 'name of the configuration; with -f, where a document names none')
    .argument('[id]', 'the machine')
    .argument('[event]', 'name of the event')
    .option('-f, --file <file>', 'events as YAML, JSON or JSON lines; - = stdin')
    .option('--event-id <id>', 'id of the event, which has at most one effect; made unless given')
    .option('--originator <text>', 'who or what caused it')
    .option('--details <text>', 'anything worth keeping beside it')
    .option('--expected-version <number>', 'apply it only while this is its version', wholeNumber(0))
    .option('--expected-state <state>', 'apply it only while this is its state');
  type Arguments = [config: string | undefined, id: string | undefined, event: string | undefined];
  connected(command, io, async (it, ...[config, id, event, options]: [...Arguments, SendOptions]): Answer => {
    if (options.file !== undefined) {
      if (id !== undefined)
        throw new InputError('-f names machines and events in its file; leave out ID and EVENT');
      return sendFile(it, options.file, config);
    }
    if (config === undefined || id === undefined || event === undefined)
      throw new InputError(
        'say CONFIG ID EVENT, or -f FILE; usage: switchgear fsm send <config> <id> <event>',
      );
    return sendOne(it, requestOf({ config, id, event }, options));
  });
}

function requestOf(what: { config: string; id: string; event: string }, options: SendOptions): SendInit {
  const { eventId = randomUUID(), originator = '', details = '', expectedVersion, expectedState } = options;
  return {
    configurationName: what.config,
    fsmId: what.id,
    event: { eventId, name: what.event, originator, details },
    ...(expectedVersion !== undefined && { expectedVersion: BigInt(expectedVersion) }),
    ...(expectedState !== undefined && { expectedState }),
  };
}

async function sendOne(it: Invocation, request: SendInit): Answer {
  try {
    const outcome = await it.switchgear.fsm.sendEvent(request, it);
    await it.out.record(messageToJson(outcome), outcomeFields(outcome));
    return exitOfOutcome(outcome);
  } catch (error) {
    if (error instanceof EffectUnknownError && typeof request.event !== 'string')
      it.note(`the event was sent with --event-id ${request.event.eventId}`);
    throw error;
  }
}

function addOutcome(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'outcome', 'show what became of an event')
    .argument('<config>', 'name of the configuration')
    .argument('<event-id>', 'id of the event')
    .option('--id <id>', 'the machine; whichever had this event last unless given');
  connected(command, io, async (it, configurationName: string, eventId: string, { id }: { id?: string }) => {
    const request = { configurationName, eventId, fsmId: id ?? '' };
    const outcome = await it.switchgear.fsm.getEventOutcome(request, it);
    await it.out.record(messageToJson(outcome), outcomeFields(outcome));
  });
}

function addEvent(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'event', 'show an applied event with its details and its transition')
    .argument('<config>', 'name of the configuration')
    .argument('<event-id>', 'id of the event')
    .option('--id <id>', 'the machine; whichever had this event last unless given');
  connected(command, io, async (it, configurationName: string, eventId: string, { id }: { id?: string }) => {
    const answer = await it.switchgear.fsm.getEvent({ configurationName, eventId, fsmId: id ?? '' }, it);
    const { fsmId, transition } = answer;
    await it.out.record(messageToJson(answer), [
      ['machine', fsmId],
      ['event', transition?.event?.name ?? ''],
      ['transition', `${transition?.from} -> ${transition?.to} (version ${transition?.version})`],
      ['originator', transition?.event?.originator ?? ''],
      ['details', transition?.event?.details ?? ''],
    ]);
  });
}
