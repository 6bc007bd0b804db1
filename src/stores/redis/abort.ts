/**
 * Waiting that ends with a signal. A stream's signal is shared by thousands of commands under way, and
 * Node walks all listeners of a signal to add or remove one; so each signal gets one listener, and the
 * commands are a set behind it.
 */
const waits = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `giveUp` when the signal aborts, unless the returned function is called first. */
export function onAbort(signal: AbortSignal, giveUp: () => void): () => void {
  const known = waits.get(signal);
  const set = known ?? new Set();
  if (!known) {
    waits.set(signal, set);
    signal.addEventListener('abort', () => {
      for (const each of set) each();
    });
  }
  set.add(giveUp);
  return () => {
    set.delete(giveUp);
  };
}

/** The promise's result, unless the signal aborts first: then it rejects with `reason()`. */
export function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  reason: () => unknown,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(reason());
    const stopWaiting = onAbort(signal, () => reject(reason()));
    promise.then(resolve, reject).finally(stopWaiting);
  });
}
