/**
 * `switchgear bus write`: one event by its options, or any number from a file or a pipe, read as they come
 * and written in batches. The first event that fails ends it, and the last line says how far it came.
 */
import type { Command } from 'commander';
import { InvalidFieldError, messageToJson, type NewEventInit, type WrittenEvent } from '../client/index.js';
import { readNewEvent } from './bus-documents.js';
import { attribute, bigNumber } from './bus-options.js';
import { written, writtenFields } from './bus-views.js';
import { EXIT, InputError, OutputClosed } from './exit.js';
import { readDocuments } from './input.js';
import { type Answer, connected, type Invocation, type Io, leaf } from './invocation.js';
import { grouped } from './text.js';

/** How many events are on their way before the input is held back. */
const WINDOW_EVENTS = 5_000;

const NOTES = `
A file holds one JSON object a line, or YAML or JSON documents: type, key, attributes, dedupeId,
contentType, and as the body one of body (an object or text), json (an object) or data (base64).
Lines of \`switchgear bus events NAME -o json\` are such. Text of YAML stays text: numbers need JSON.`;

interface WriteOptions {
  readonly type?: string;
  readonly key?: string;
  readonly attribute?: Record<string, string>;
  readonly body?: string;
  readonly json?: string;
  readonly contentType?: string;
  readonly dedupeId?: string;
  readonly expectedSeq?: bigint;
  readonly file?: string;
}

export function addWrite(bus: Command, io: Io): void {
  const command = leaf(bus, 'write', 'write an event, or many from a file')
    .argument('<name>', 'the stream')
    .option('-f, --file <file>', 'events as JSON lines, JSON or YAML; - = stdin')
    .option('--type <type>', 'what kind of event it is')
    .option('--key <key>', 'ordering key: events of one key are worked on one at a time')
    .option('--attribute <name=value>', 'a fact beside the body; may be given again', attribute)
    .option('--body <text>', 'body as text')
    .option('--json <json>', 'body as JSON')
    .option('--content-type <type>', 'what the body is; follows from the body unless given')
    .option('--dedupe-id <id>', 'within the dedupe window the same id is written once; made unless given')
    .option(
      '--expected-seq <seq>',
      'only while this is the last sequence; 0 = nothing was written',
      bigNumber,
    )
    .addHelpText('after', NOTES);
  connected(command, io, async (it, stream: string, options: WriteOptions): Answer => {
    const { file, expectedSeq, ...event } = options;
    const others = Object.keys(event).filter((name) => ONE_EVENT.has(name));
    if (file === undefined && others.length === 0)
      throw new InputError(
        'says nothing of the event: give --type, --body or --json, or -f - to read events from stdin',
      );
    if (file === undefined) return writeOne(it, stream, options);
    if (others.length > 0 || expectedSeq !== undefined)
      throw new InputError('-f names everything in its file; leave out the options of a single event');
    return writeFile(it, stream, file);
  });
}

const ONE_EVENT = new Set(['type', 'key', 'attribute', 'body', 'json', 'contentType', 'dedupeId']);

async function writeOne(it: Invocation, stream: string, options: WriteOptions): Answer {
  const { type = '', key = '', attribute = {}, contentType, dedupeId = '', expectedSeq } = options;
  const facts = { type, orderingKey: key, attributes: attribute, dedupeId };
  const event = { ...facts, ...bodyOf(options), ...(contentType && { contentType }) };
  const request = { stream, event, ...(expectedSeq !== undefined && { expectedSeq }) };
  const answer = await it.switchgear.bus.writeEvent(request, it);
  await it.out.record(messageToJson(answer), writtenFields(answer));
  return EXIT.ok;
}

function bodyOf({ body, json }: WriteOptions): Pick<NewEventInit, 'body' | 'contentType'> {
  if (body !== undefined && json !== undefined)
    throw new InputError('--body is text and --json is JSON; leave one out');
  if (json === undefined) return body === undefined ? {} : { body };
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { body: value as Exclude<NewEventInit['body'], string | Uint8Array | undefined> };
  } catch (error) {
    throw new InputError(`--json: ${(error as Error).message}; --body takes any text`);
  }
  return { body: json, contentType: 'application/json' };
}

async function writeFile(it: Invocation, stream: string, file: string): Answer {
  const tally = new Tally();
  async function* counted(): AsyncGenerator<WrittenEvent> {
    for await (const each of writtenOf(it, stream, file)) {
      tally.add(each);
      it.progress.show(`${grouped(tally.count)} events written`);
      yield each;
    }
  }
  try {
    if (it.out.format === 'table') for await (const _ of counted());
    else await it.out.rows(counted(), written);
  } catch (error) {
    it.note(`stopped; events written: ${grouped(tally.count)}`);
    if (!(error instanceof OutputClosed)) throw error;
    // Whoever closed the output may not know that events were left unwritten.
    return EXIT.other;
  }
  if (it.signal.aborted) it.note(`stopped; events written: ${grouped(tally.count)}`);
  else if (it.out.format === 'table') await it.out.record({}, tally.fields());
  return it.signal.aborted ? EXIT.interrupted : EXIT.ok;
}

class Tally {
  count = 0;
  #duplicates = 0;
  #first: bigint | undefined;
  #last: bigint | undefined;

  add({ duplicate, seq }: WrittenEvent): void {
    this.count += 1;
    if (duplicate) this.#duplicates += 1;
    if (duplicate) return;
    this.#first ??= seq;
    this.#last = seq;
  }

  fields(): (readonly [label: string, value: string])[] {
    return [
      ['events', grouped(this.count)],
      ...(this.#duplicates > 0 ? [['duplicates', grouped(this.#duplicates)] as const] : []),
      ...(this.#first !== undefined ? [['sequences', `${this.#first} to ${this.#last}`] as const] : []),
    ];
  }
}

interface UnderWay {
  readonly where: string;
  readonly written: Promise<WrittenEvent>;
}

/**
 * Writes every event of a file and yields what became of each, in order and as soon as it is known. After
 * one that fails nothing more is read, and those behind it that were on their way are waited for.
 */
async function* writtenOf(it: Invocation, stream: string, file: string): AsyncGenerator<WrittenEvent> {
  const writer = it.switchgear.bus.writer(stream, { signal: it.signal });
  const underWay: UnderWay[] = [];
  const documents = readDocuments(file, it.stdin);
  let reading: Promise<void> | undefined;
  let isReading = true;
  let failure: { error: unknown } | undefined;
  const read = async () => {
    await writer.ready;
    const { value: document, done } = await documents.next();
    if (done) isReading = false;
    else underWay.push({ where: document.where, written: writer.write(readNewEvent(document)) });
    reading = undefined;
  };
  const fail = (error: unknown, where?: string) => {
    isReading = false;
    if (!failure && where && error instanceof InvalidFieldError) it.note(`stopped at ${where}`);
    failure ??= { error };
  };
  let wake = () => {};
  it.signal.addEventListener('abort', () => wake());
  while ((isReading && !failure) || underWay.length > 0) {
    if (isReading && underWay.length < WINDOW_EVENTS) reading ??= read().catch(fail);
    const [first] = underWay;
    // A slow input must not keep back an answer that is there, nor a slow answer the next event.
    const answer = first && answered(first);
    const interrupted = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const input = isReading ? reading : undefined;
    const written = await Promise.race([input, answer, interrupted].filter((each) => each !== undefined));
    if (it.signal.aborted) isReading = false;
    if (!written) continue;
    underWay.shift();
    if ('error' in written) fail(written.error, first?.where);
    else yield written.event;
  }
  if (failure) throw failure.error;
}

function answered({ written }: UnderWay): Promise<{ event: WrittenEvent } | { error: unknown }> {
  return written.then(
    (event) => ({ event }),
    (error: unknown) => ({ error }),
  );
}
