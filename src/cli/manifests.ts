/**
 * What documents ask for. Two forms of each are read: the manifests that users of go-statemachine have
 * ({apiVersion, kind, spec}; the field names of statemachine.v1beta), and plain objects in the names of
 * this API, as `-o json` and `-o yaml` print them.
 */
import type { SendInit } from '../client/index.js';
import { InputError } from './exit.js';
import { Fields, scalar } from './fields.js';
import type { InputDocument } from './input.js';
import { nearest, printable } from './text.js';

export interface ConfigurationInit {
  readonly name: string;
  readonly version: string;
  readonly states: string[];
  readonly transitions: { from: string; to: string; event: string }[];
  readonly startingState: string;
  readonly finalStates: string[];
}

export interface MachineInit {
  readonly configurationName: string;
  readonly configurationVersion: string;
  readonly fsmId: string;
  readonly state: string;
}

/** What one document asks for. */
export type Manifest =
  | { readonly kind: 'Configuration'; readonly where: string; readonly configuration: ConfigurationInit }
  | { readonly kind: 'FiniteStateMachine'; readonly where: string; readonly machine: MachineInit }
  | { readonly kind: 'EventRequest'; readonly where: string; readonly send: SendInit };

const KINDS = ['Configuration', 'FiniteStateMachine', 'EventRequest'] as const;

/** Reads a document of any kind. @throws InputError that says where it is wrong and what was meant */
export function readManifest({ value, where }: InputDocument): Manifest {
  const document = new Fields(value, where);
  if (!document.has('kind')) return readPlain(value, where);
  const kind = document.text('kind');
  const spec = new Fields(document.raw('spec') ?? {}, `${where}: spec`);
  const id = document.text('id');
  document.ignore('apiVersion', 'metadata');
  document.end();
  if (kind === 'Configuration') return { kind, where, configuration: configurationOf(spec) };
  if (kind === 'FiniteStateMachine') return { kind, where, machine: machineOf(spec, id) };
  if (kind === 'EventRequest') return { kind, where, send: sendOf(spec, { eventId: id }) };
  const meant = nearest(kind, KINDS);
  throw new InputError(
    `${where}: kind "${printable(kind)}" is none of ${KINDS.join(', ')}${meant ? `; did you mean ${meant}?` : ''}`,
  );
}

/** Reads an event: a manifest, or a plain object that may leave out what `known` says. */
export function readEvent({ value, where }: InputDocument, configurationName = ''): SendInit {
  const fields = new Fields(value, where);
  if (!fields.has('kind')) return sendOf(fields, { configurationName });
  const manifest = readManifest({ value, where });
  if (manifest.kind === 'EventRequest') return manifest.send;
  throw new InputError(`${where}: is a ${manifest.kind}; \`switchgear fsm create -f\` takes it`);
}

/** Without a kind, what it is follows from what it has. */
function readPlain(value: unknown, where: string): Manifest {
  const fields = new Fields(value, where);
  if (fields.has('states'))
    return { kind: 'Configuration', where, configuration: configurationOf(new Fields(value, where)) };
  if (fields.has('event')) return { kind: 'EventRequest', where, send: sendOf(new Fields(value, where), {}) };
  if (fields.has('configurationName'))
    return { kind: 'FiniteStateMachine', where, machine: machineOf(new Fields(value, where), '') };
  throw new InputError(
    `${where}: is neither a manifest ({apiVersion, kind, spec}) nor a configuration, a machine or an event`,
  );
}

function configurationOf(fields: Fields): ConfigurationInit {
  const configuration = {
    name: fields.required('name'),
    // go-statemachine's default, so that its manifests make the same thing here.
    version: fields.text('version') || 'v1',
    states: fields.list('states', scalar),
    transitions: fields.list('transitions', transitionOf),
    startingState: fields.required('startingState'),
    finalStates: fields.list('finalStates', scalar),
  };
  fields.ignore('createTime');
  fields.end();
  return configuration;
}

function transitionOf(item: unknown, path: string) {
  const fields = new Fields(item, path);
  const transition = {
    from: fields.required('from'),
    to: fields.required('to'),
    event: fields.required('event'),
  };
  fields.end();
  return transition;
}

/** `configId` is go-statemachine's `name:version`; a bare name is the newest version. */
function machineOf(fields: Fields, id: string): MachineInit {
  const [name = '', version = ''] = fields.text('configId').split(':');
  const machine = {
    configurationName: fields.text('configurationName') || name || fields.required('configId'),
    configurationVersion: fields.text('configurationVersion') || version,
    fsmId: fields.text('id', 'fsmId') || id,
    state: fields.text('state'),
  };
  if (fields.list('history', () => 0).length > 0)
    throw new InputError('a machine is created without history; `switchgear fsm send` makes it one');
  fields.ignore('uid', 'version', 'createTime', 'updateTime', 'lastTransition', 'history');
  fields.end();
  return machine;
}

function sendOf(fields: Fields, known: { eventId?: string; configurationName?: string }): SendInit {
  const expectedVersion = fields.wholeNumber('expectedVersion');
  const expectedState = fields.text('expectedState');
  const send = {
    configurationName: fields.text('configurationName', 'config') || known.configurationName || '',
    fsmId: fields.required('fsmId', 'id'),
    event: eventOf(fields, known.eventId ?? ''),
    ...(expectedVersion !== undefined && { expectedVersion }),
    ...(expectedState !== '' && { expectedState }),
  };
  if (send.configurationName === '') fields.required('configurationName', 'config');
  fields.end();
  return send;
}

function eventOf(fields: Fields, eventId: string) {
  if (typeof fields.raw('event') === 'string') return { name: fields.required('event'), eventId };
  const event = fields.map('event');
  if (!event) return { name: fields.required('event'), eventId };
  // In statemachine.v1beta an event's name stands in its transition.
  const transition = event.map('transition');
  const timestamp = timeOf(event);
  const read = {
    eventId: event.text('eventId') || eventId,
    name: event.text('name') || transition?.text('event') || event.required('name'),
    originator: event.text('originator'),
    details: event.text('details'),
    ...(timestamp && { timestamp }),
  };
  transition?.ignore('from', 'to');
  transition?.end();
  event.end();
  return read;
}

/** RFC 3339, or the seconds and nanos of a protobuf Timestamp. */
function timeOf(event: Fields): { seconds: bigint; nanos: number } | undefined {
  if (typeof (event.raw('timestamp') ?? '') === 'object') {
    const time = event.map('timestamp');
    const [seconds, nanos] = [time?.wholeNumber('seconds') ?? 0n, Number(time?.wholeNumber('nanos') ?? 0n)];
    time?.end();
    return { seconds, nanos };
  }
  const text = event.text('timestamp');
  if (text === '') return undefined;
  const ms = Date.parse(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(ms))
    throw new InputError(`timestamp "${printable(text)}" must be like 2026-01-31T12:00:00Z`);
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? '';
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Number(fraction.padEnd(9, '0')) };
}
