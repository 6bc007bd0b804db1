/**
 * `switchgear fsm create`: a machine by its arguments, or whatever a file of documents asks for. A file
 * is read and checked as a whole before its first document is done.
 */
import type { Command } from 'commander';
import {
  type EventOutcome,
  type FiniteStateMachine,
  type FsmClient,
  messageToJson,
  SwitchgearError,
} from '../client/index.js';
import { EXIT, type ExitCode, exitOfOutcome, InputError, OutputClosed } from './exit.js';
import { machineFields, outcomeText } from './fsm-views.js';
import { readDocuments } from './input.js';
import { type Answer, connected, type Invocation, type Io, leaf } from './invocation.js';
import { type Manifest, readManifest } from './manifests.js';
import type { View } from './output.js';

/** The most documents that one file may hold. */
const MAX_DOCUMENTS = 10_000;

interface CreateOptions {
  readonly file?: string;
  readonly version?: string;
  readonly state?: string;
  readonly requestId?: string;
}

export function addCreate(fsm: Command, io: Io): void {
  const command = leaf(
    fsm,
    'create',
    'create a machine, or what a file of configurations, machines and events says',
  )
    .argument('[config]', 'configuration that the machine follows')
    .argument('[id]', 'id of the machine; made unless given')
    .option('-f, --file <file>', 'YAML or JSON, plain or {apiVersion, kind, spec}; - = stdin')
    .option('--version <version>', 'version of the configuration; the newest unless given')
    .option('--state <state>', "state to start in; the configuration's starting state unless given")
    .option('--request-id <id>', 'makes it safe to repeat: the same again finds the first machine');
  type Arguments = [config: string | undefined, id: string | undefined];
  connected(command, io, async (it, ...[config, id, options]: [...Arguments, CreateOptions]): Answer => {
    if (options.file !== undefined) {
      if (config !== undefined)
        throw new InputError('-f names everything in its file; leave out CONFIG and ID');
      return createAll(it, options.file);
    }
    if (config === undefined)
      throw new InputError(
        'say CONFIG for a machine, or -f FILE; usage: switchgear fsm create <config> [id]',
      );
    await createMachine(it, { ...options, config, id: id ?? '' });
    return EXIT.ok;
  });
}

async function createMachine(
  it: Invocation,
  what: CreateOptions & { config: string; id: string },
): Promise<void> {
  const { config, id, version = '', state = '', requestId = '' } = what;
  const request = { configurationName: config, configurationVersion: version, fsmId: id, state, requestId };
  const machine = await it.switchgear.fsm.createFiniteStateMachine(request, it);
  await it.out.record(messageToJson(machine), machineFields(machine));
}

async function createAll(it: Invocation, file: string): Answer {
  const manifests: Manifest[] = [];
  for await (const document of readDocuments(file, it.stdin)) {
    if (manifests.length >= MAX_DOCUMENTS)
      throw new InputError(
        `${file} holds more than ${MAX_DOCUMENTS} documents; \`switchgear fsm send -f\` takes any number of events`,
      );
    manifests.push(readManifest(document));
  }
  let exitCode: ExitCode = EXIT.ok;
  async function* done(): AsyncGenerator<Made> {
    for (const [i, manifest] of manifests.entries()) {
      it.progress.show(`${i} of ${manifests.length} documents`);
      const made = await make(it, manifest);
      if (made.kind === 'event') exitCode ||= exitOfOutcome(made.outcome);
      yield made;
    }
  }
  try {
    await it.out.rows(done(), madeView, { isLive: true });
  } catch (error) {
    if (!(error instanceof OutputClosed)) throw error;
    // Whoever closed the output may not know that documents were left undone.
    it.note('stopped: nobody reads the output');
    return EXIT.other;
  }
  return exitCode;
}

type Created = Awaited<ReturnType<FsmClient['createConfiguration']>>;

type Made =
  | { readonly kind: 'configuration'; readonly answer: Created }
  | { readonly kind: 'machine'; readonly machine: FiniteStateMachine }
  | { readonly kind: 'event'; readonly outcome: EventOutcome };

async function make(it: Invocation, manifest: Manifest): Promise<Made> {
  const { fsm } = it.switchgear;
  try {
    switch (manifest.kind) {
      case 'Configuration': {
        const answer = await fsm.createConfiguration(manifest.configuration, it);
        for (const { message } of answer.warnings) it.note(`warning: ${manifest.where}: ${message}`);
        return { kind: 'configuration', answer };
      }
      case 'FiniteStateMachine':
        return { kind: 'machine', machine: await fsm.createFiniteStateMachine(manifest.machine, it) };
      case 'EventRequest':
        return { kind: 'event', outcome: await fsm.sendEvent(manifest.send, it) };
    }
  } catch (error) {
    if (error instanceof SwitchgearError) it.note(`stopped at ${manifest.where} (${manifest.kind})`);
    throw error;
  }
}

const madeView: View<Made> = {
  columns: ['KIND', 'NAME', 'OUTCOME'],
  widths: [13, 16],
  cells: (made) => {
    switch (made.kind) {
      case 'configuration': {
        const { configuration, created } = made.answer;
        const outcome = created ? 'created' : 'was there already';
        return [made.kind, `${configuration?.name}:${configuration?.version}`, outcome];
      }
      case 'machine': {
        const { configurationName, id, state } = made.machine;
        return [made.kind, `${configurationName}/${id}`, `created in state ${state}`];
      }
      case 'event': {
        const { configurationName, fsmId } = made.outcome;
        return [made.kind, `${configurationName}/${fsmId}`, outcomeText(made.outcome)];
      }
    }
  },
  json: (made) => {
    if (made.kind === 'configuration') return messageToJson(made.answer);
    return made.kind === 'machine'
      ? { fsm: messageToJson(made.machine) }
      : { outcome: messageToJson(made.outcome) };
  },
};
