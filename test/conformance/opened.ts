/**
 * What every suite of laws runs against, whatever the port: a store opened for a theme, and perhaps another
 * handle on the same data.
 */
import { afterAll, beforeAll } from 'vitest';
import type { FakeClock } from '../support/fake-clock.js';

/** A store opened for a theme. */
export interface Opened<S> {
  readonly store: S;
  /** Another handle on the same data, as another process would hold it. */
  readonly second?: S;
  /** The store's clock, where it reads one. */
  readonly clock?: FakeClock;
  close(): Promise<void>;
}

/** How any backend differs. */
export interface OpenedProfile {
  /** Whether several processes share the data; then every subject has a `second` handle. */
  readonly sharedByProcesses: boolean;
  /** `fake`: time is the subject's clock. `engine`: time is the engine's own, and really passes. */
  readonly clock: 'fake' | 'engine';
  /** Why it is as it says of itself. */
  readonly reasons: readonly string[];
}

/** Opens one subject for all tests of the enclosing `describe`, and stands for it. */
export function useOpened<O extends { close(): Promise<void> }>(open: () => Promise<O>): O {
  let opened: O | undefined;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(async () => {
    await opened?.close();
  });
  return new Proxy({} as O, {
    get(_, name) {
      if (!opened) throw new Error('the subject is open only while tests run');
      return Reflect.get(opened, name);
    },
  });
}

/** The store's handles: two where processes share it, so that calls come from both. */
export function handles<S>({ store, second }: Opened<S>, { sharedByProcesses }: OpenedProfile): S[] {
  if (!sharedByProcesses) return [store];
  if (!second) throw new Error('the profile says shared by processes, and there is no second handle');
  return [store, second];
}

/** For calls that nobody cancels. */
export const never: AbortSignal = new AbortController().signal;
