/**
 * `switchgear bus process` and `retry`: a worker whose handler is a command of the shell. A row for each
 * event that it is done with; what the command prints goes to stderr, so that results can be piped.
 */
import type { Command } from 'commander';
import type { BusWorker, Delivery, EventHandler, Settled, WorkerOptions } from '../client/index.js';
import { ExitError, execute } from './bus-exec.js';
import { statusOf, time } from './bus-options.js';
import { events, leasedEvents } from './bus-views.js';
import { EXIT, InputError } from './exit.js';
import { type Answer, connected, type Invocation, type Io, leaf } from './invocation.js';
import { limited, wholeNumber } from './numbers.js';
import type { View } from './output.js';
import { grouped } from './text.js';

const NOTES = `
The command gets the body on stdin, and SWITCHGEAR_EVENT_ID, SWITCHGEAR_EVENT_TYPE, SWITCHGEAR_EVENT_KEY,
SWITCHGEAR_EVENT_SEQ and SWITCHGEAR_EVENT_ATTEMPT in its environment. With exit code 0 the event is marked
PROCESSED, with any other RETRY. What it prints goes to stderr. Its lease is extended while it runs. An
interrupt takes no more events and lets running commands finish; a second one ends at once.`;

interface WorkOptions {
  readonly exec?: string;
  readonly group?: string;
  readonly concurrency: number;
  readonly ackDeadline?: number;
  readonly grace: number;
  readonly once?: true;
  readonly follow?: true;
  readonly peek?: true;
  readonly limit?: number;
}

export function addProcess(bus: Command, io: Io): void {
  const command = leaf(bus, 'process', 'run a command for every event, and mark what became of it')
    .argument('<name>', 'the stream')
    .option('--once', 'end when nothing is left that can be had now; so unless --follow is given')
    .option('--follow', 'wait for more, until interrupted')
    .option('--peek', 'show what is unprocessed instead, and take nothing')
    .option('--limit <count>', 'with --peek: at most so many', wholeNumber(1));
  withWork(command);
  connected(command, io, async (it, stream: string, options: WorkOptions): Answer => {
    if (options.once && options.follow) throw new InputError('--once ends and --follow waits; leave one out');
    if (options.peek) return peek(it, stream, options);
    const { bus } = it.switchgear;
    return work(it, { stream, options, io }, (handler, settings) =>
      bus.process(stream, handler, { ...settings, follow: options.follow === true }),
    );
  });
}

export function addRetry(bus: Command, io: Io): void {
  const command = leaf(bus, 'retry', 'run a command for what failed, due or not, 10,000 events at a time')
    .argument('<name>', 'the stream')
    .option('--peek', 'show what failed instead, and take nothing')
    .option('--limit <count>', 'with --peek: at most so many', wholeNumber(1));
  withWork(command);
  connected(command, io, async (it, stream: string, options: WorkOptions): Answer => {
    const { bus } = it.switchgear;
    if (!options.peek)
      return work(it, { stream, options, io }, (handler, settings) => bus.retry(stream, handler, settings));
    const request = { stream, status: statusOf('RETRY'), ...(options.group && { group: options.group }) };
    await it.out.rows(limited(bus.getStreamEvents(request, it), options.limit), events);
    return EXIT.ok;
  });
}

function withWork(command: Command): void {
  command
    .option('--exec <command>', 'what /bin/sh -c runs for each event')
    .option('--group <group>', 'group to work for; default unless given')
    .option('--concurrency <count>', 'how many run at once', wholeNumber(1), 8)
    .option('--ack-deadline <time>', 'how long a lease runs before it is extended or lost', time)
    .option('--grace <time>', 'how long running commands may go on after an interrupt', time, 60_000)
    .addHelpText('after', NOTES);
}

async function peek(it: Invocation, stream: string, { group, limit, exec }: WorkOptions): Answer {
  if (exec !== undefined) throw new InputError('--peek shows and --exec runs; leave one out');
  const all = it.switchgear.bus.peek({ stream, ...(group && { group }) }, it);
  await it.out.rows(limited(all, limit), leasedEvents);
  return EXIT.ok;
}

/** An event that a command was run for. */
interface Worked {
  readonly delivery: Delivery;
  readonly settled: Settled;
  readonly tookMs: number;
}

type Start = (handler: EventHandler, settings: WorkerOptions) => BusWorker;
interface Work {
  readonly stream: string;
  readonly options: WorkOptions;
  readonly io: Io;
}

async function work(it: Invocation, { stream, options, io }: Work, start: Start): Answer {
  const { exec, group, concurrency, ackDeadline, grace } = options;
  if (exec === undefined || exec === '')
    throw new InputError('say what is to run with --exec COMMAND, or --peek to see the events');
  // A worker waits for a server that is not there; a command that starts should say so instead.
  await it.switchgear.bus.getStream(stream, it);
  const queue = new Queue<Worked>();
  const begun = new WeakMap<Delivery, number>();
  const handler = (delivery: Delivery) => {
    begun.set(delivery, performance.now());
    return execute(exec, delivery, io.stderr);
  };
  const worker = start(handler, {
    concurrency,
    graceMs: grace,
    signal: it.signal,
    ...(group && { group }),
    ...(ackDeadline !== undefined && { ackDeadlineMs: ackDeadline }),
    onSettled: (delivery, settled) =>
      queue.push({ delivery, settled, tookMs: performance.now() - (begun.get(delivery) ?? 0) }),
  });
  worker.done.then(
    () => queue.end(),
    (error) => queue.end(error),
  );
  const tally = { processed: 0, failed: 0 };
  async function* counted(): AsyncGenerator<Worked> {
    for await (const each of queue) {
      if (isProcessed(each)) tally.processed += 1;
      else tally.failed += 1;
      yield each;
    }
  }
  try {
    await it.out.rows(counted(), workedEvents, { isLive: true });
  } finally {
    await worker.close();
  }
  const { processed, failed } = tally;
  if (it.out.format === 'table' || failed > 0)
    it.note(`${grouped(processed)} processed, ${grouped(failed)} to be retried`);
  if (it.signal.aborted && !options.follow) return EXIT.interrupted;
  return failed > 0 && !options.follow ? EXIT.other : EXIT.ok;
}

function isProcessed({ settled: { mark, result } }: Worked): boolean {
  return mark === 'processed' && 'result' in result && result.result === 'ok';
}

const workedEvents: View<Worked> = {
  columns: ['SEQ', 'TYPE', 'KEY', 'ATTEMPT', 'OUTCOME', 'TOOK', 'EVENT ID'],
  widths: [6, 12, 10, 7, 19, 8],
  cells: ({ delivery: { event, attempt }, settled, tookMs }) => [
    String(event.seq),
    event.type,
    event.orderingKey,
    String(attempt),
    outcome(settled),
    `${Math.round(tookMs)} ms`,
    event.eventId,
  ],
  json: ({ delivery: { event, attempt }, settled, tookMs }) => ({
    eventId: event.eventId,
    seq: String(event.seq),
    type: event.type,
    orderingKey: event.orderingKey,
    attempt,
    outcome: outcome(settled),
    exitCode: settled.failure instanceof ExitError ? settled.failure.exitCode : 0,
    tookMs: Math.round(tookMs),
  }),
};

/** The mark, or why there is none: the lease was lost, and the event is or was in other hands. */
function outcome({ mark, result, failure }: Settled): string {
  if (mark === undefined) return 'LEASE LOST';
  const why = failure instanceof Error ? ` (${failure.message})` : '';
  if ('error' in result) return `not marked ${mark.toUpperCase()}: ${result.error.message}`;
  return result.result === 'ok' ? `${mark.toUpperCase()}${why}` : `${result.result.toUpperCase()}${why}`;
}

/** What was pushed and not taken yet; as short as what the worker may have at once, as long as it is read. */
class Queue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #end: { error: unknown } | undefined;
  #wake: () => void = () => {};

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) yield item;
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
