/**
 * Wakes the watchers of a configuration name after a commit that changed its machines. It says only
 * that there is something to read: watchers read the feed themselves, so rings that come while one is
 * busy cost nothing and none is lost.
 */
export class FeedBell {
  readonly #listeners = new Map<string, Set<() => void>>();
  #closed = false;

  ring(names: Iterable<string>): void {
    for (const name of names) for (const wake of [...(this.#listeners.get(name) ?? [])]) wake();
  }

  /** Wakes everyone for good. */
  close(): void {
    this.#closed = true;
    this.ring([...this.#listeners.keys()]);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves at the next ring, when `signal` aborts, or after `timeoutMs`. */
  wait(name: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#closed || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#remove(name, wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      signal.addEventListener('abort', wake);
      this.#add(name, wake);
    });
  }

  #add(name: string, wake: () => void): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    listeners.add(wake);
    this.#listeners.set(name, listeners);
  }

  #remove(name: string, wake: () => void): void {
    const listeners = this.#listeners.get(name);
    listeners?.delete(wake);
    if (listeners?.size === 0) this.#listeners.delete(name);
  }
}
