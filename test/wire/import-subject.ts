/**
 * An import as a test sees it: a server on one of the stores, a source that holds what the test laid
 * down, and what was printed.
 */
import { expect } from 'vitest';
import { type AppliedTransition, connect, type Switchgear } from '../../src/client/index.js';
import type { ServerProcess } from '../support/server-process.js';
import { type StoreCase, typed } from './cli-support.js';
import { GoStatemachineData, InternalError } from './go-statemachine-data.js';

interface Count {
  readonly brought: number;
  readonly there: number;
}

interface Remark {
  readonly key: string;
  readonly reason: string;
}

/** What `-o json` prints, and the exit code. */
export interface Printed {
  readonly configurations: Count;
  readonly machines: Count;
  readonly transitions: Count;
  readonly refusals: Count;
  readonly leftOut: Remark[];
  readonly leftOutCount: number;
  readonly notes: Remark[];
  readonly exitCode: number;
}

/** How the current go-statemachine says that a state has no transition for an event. */
export const NOT_ALLOWED = {
  code: InternalError,
  details: 'could not update statemachine [x#y] in store: unexpected event transition',
};

export class ImportSubject {
  readonly server: ServerProcess;
  readonly source: GoStatemachineData;
  readonly switchgear: Switchgear;

  private constructor(server: ServerProcess, source: GoStatemachineData) {
    this.server = server;
    this.source = source;
    this.switchgear = connect(server.grpcAddress);
  }

  static async start(store: StoreCase): Promise<ImportSubject> {
    return new ImportSubject(await store.start(), await GoStatemachineData.start());
  }

  async stop(): Promise<void> {
    this.switchgear.close();
    await Promise.all([this.server.dispose(), this.source.stop()]);
  }

  /** Makes the source hold what `lay` lays down and nothing else. */
  async given(lay: (data: GoStatemachineData) => Promise<unknown>): Promise<void> {
    await this.source.redis.flushdb();
    await lay(this.source);
  }

  async run(...flags: string[]): Promise<Printed> {
    const args = ['fsm', 'import', '--from', this.source.url, '-o', 'json', ...flags];
    const { stdout, stderr, exitCode } = await typed(args, { address: this.server.grpcAddress });
    expect(stderr).toBe('');
    return { ...JSON.parse(stdout), exitCode };
  }

  historyOf(configurationName: string, fsmId: string): Promise<AppliedTransition[]> {
    return all(this.switchgear.fsm.listTransitions({ configurationName, fsmId }));
  }

  async eventIdsOf(configurationName: string, fsmId: string): Promise<(string | undefined)[]> {
    return (await this.historyOf(configurationName, fsmId)).map(({ event }) => event?.eventId);
  }

  async idsOf(configurationName: string): Promise<string[]> {
    const machines = await all(this.switchgear.fsm.listFiniteStateMachines({ configurationName }));
    return machines.map(({ id }) => id).sort();
  }
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
