/**
 * Where an import goes: a Switchgear, or nowhere. Both say whether something was new, and both refuse
 * one thing with LeftOut; only what would befall everything else too ends the import.
 */
import {
  type CallControl,
  type Configuration,
  ConfigurationExistsError,
  type FsmClient,
  SwitchgearError,
} from '../../client/index.js';
import {
  type ConfigurationInit,
  complaintsAboutConfiguration,
  complaintsAboutImport,
  type ImportInit,
} from '../../client/statemachine-v1beta.js';
import { LeftOut } from './report.js';

export interface Target {
  /** True if it was created, false if it is there already. */
  putConfiguration(configuration: ConfigurationInit): Promise<boolean>;
  /** True if something of the chunk was new. */
  putChunk(chunk: ImportInit): Promise<boolean>;
}

/** Failures of the server or of the way to it, and not of what was sent. */
const FATAL = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'UNAUTHENTICATED',
  'CANCELLED',
  'UNIMPLEMENTED',
  'RESOURCE_EXHAUSTED',
]);

export class ServerTarget implements Target {
  readonly #fsm: FsmClient;
  readonly #control: CallControl;

  constructor(fsm: FsmClient, control: CallControl) {
    this.#fsm = fsm;
    this.#control = control;
  }

  async putConfiguration(configuration: ConfigurationInit): Promise<boolean> {
    try {
      return (await this.#fsm.createConfiguration(configuration, this.#control)).created;
    } catch (error) {
      if (error instanceof ConfigurationExistsError && (await this.#means(configuration))) return false;
      throw leftOut(error);
    }
  }

  async putChunk(chunk: ImportInit): Promise<boolean> {
    try {
      return (await this.#fsm.importFiniteStateMachine(chunk, this.#control)).written;
    } catch (error) {
      throw leftOut(error);
    }
  }

  /** Whether the stored configuration does the same: it may keep repeated edges, or name final states. */
  async #means({ name = '', version = '', ...wanted }: ConfigurationInit): Promise<boolean> {
    const stored = await this.#fsm.getConfiguration(name, version, this.#control);
    return meaning(stored) === meaning(wanted);
  }
}

function meaning({
  states = [],
  transitions = [],
  startingState = '',
}: Partial<Configuration> | ConfigurationInit): string {
  const edges = new Map<string, string>();
  for (const { from = '', event = '', to = '' } of transitions) {
    const edge = JSON.stringify([from, event]);
    if (!edges.has(edge)) edges.set(edge, to);
  }
  return JSON.stringify([[...states].sort(), [...edges].sort(), startingState]);
}

/** Looks at the form of everything and keeps nothing. */
export class DryTarget implements Target {
  async putConfiguration(configuration: ConfigurationInit): Promise<boolean> {
    return accept(complaintsAboutConfiguration(configuration));
  }

  async putChunk(chunk: ImportInit): Promise<boolean> {
    return accept(complaintsAboutImport(chunk));
  }
}

function accept(complaints: readonly string[]): true {
  if (complaints.length > 0) throw new LeftOut(complaints.join('; '));
  return true;
}

function leftOut(error: unknown): unknown {
  if (!(error instanceof SwitchgearError) || FATAL.has(error.code)) return error;
  const violations = error.violations.map(({ field, description }) => `${field}: ${description}`);
  return new LeftOut(violations.length > 0 ? violations.join('; ') : error.message);
}
