/**
 * Writing events: one script a batch. Bodies go as the bytes they are; everything else is text.
 */
import type { NewEvent } from '../../bus/event.js';
import type { WriteAnswer, WriteOptions, WrittenEvent } from '../../bus/verbs.js';
import type { BusKeys } from './bus-keys.js';
import { headerText } from './bus-records.js';
import { loadBusScript } from './bus-scripts.js';
import type { Streams } from './bus-streams.js';
import type { Argument } from './router.js';
import { encodeToken, SEPARATOR } from './tokens.js';

const WRITE = loadBusScript('bus_write-5');

export class Write {
  readonly #streams: Streams;
  readonly #keys: BusKeys;

  constructor(streams: Streams, keys: BusKeys) {
    this.#streams = streams;
    this.#keys = keys;
  }

  async write(
    number: number,
    events: readonly NewEvent[],
    { requestId, requestHash, expectedSeq }: WriteOptions,
    signal: AbortSignal,
  ): Promise<WriteAnswer> {
    const { facts, log, flag, ids, idTimes } = this.#keys.stream(number);
    const args: Argument[] = [
      this.#keys.wakeChannel,
      encodeToken(requestId),
      encodeToken(requestHash),
      String(expectedSeq ?? ''),
      String(this.#streams.knownRevision(number)),
      events.map(lineOf).join(''),
      Buffer.concat(events.map(({ body }) => body)),
    ];
    const keys = [facts, log, flag, ids, idTimes];
    const reply = await this.#streams.runOn<string>(WRITE, number, keys, args, signal);
    return reply ? answerFrom(reply) : { kind: 'gone' };
  }
}

/** What the script is told of an event beside its body. */
function lineOf(event: NewEvent): string {
  const { body, dedupeId, bodyHash } = event;
  return `${[body.byteLength, encodeToken(dedupeId), encodeToken(bodyHash)].join(SEPARATOR)}${SEPARATOR}${headerText(event)}\n`;
}

function answerFrom([kind, fact = '']: readonly string[]): WriteAnswer {
  switch (kind) {
    case 'written':
      return { kind, events: writtenFrom(fact) };
    case 'dedupe_id_reused':
      return { kind, index: Number(fact) };
    case 'seq_mismatch':
      return { kind, lastSeq: Number(fact) };
    case 'dedupe_full':
      return { kind, retryAfterMs: Number(fact) };
    case 'request_id_reused':
      return { kind };
    case 'full':
      return { kind };
    default:
      throw new Error(`the write script answered ${kind}`);
  }
}

/** `N!first!count!ms`, or `D!ms!seq!seq:ms!...` where those with a time of their own are duplicates. */
function writtenFrom(answer: string): WrittenEvent[] {
  const [form, ...parts] = answer.split(SEPARATOR);
  if (form === 'N') {
    const [first = 0, count = 0, createTimeMs = 0] = parts.map(Number);
    return Array.from({ length: count }, (_, i) => ({ seq: first + i, createTimeMs, duplicate: false }));
  }
  const [createMs, ...items] = parts;
  return items.map((item) => {
    const [seq, ms] = item.split(':');
    return { seq: Number(seq), createTimeMs: Number(ms ?? createMs), duplicate: ms !== undefined };
  });
}
