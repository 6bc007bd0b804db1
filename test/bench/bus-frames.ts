/**
 * Reads frames of ProcessEvents without a library: finds where each event's id, token and body lie, and
 * copies ids and tokens into a request of MarkEvents. A driver that decoded messages would be measured
 * instead of the server.
 */

/** Field numbers of ProcessEventsResponse, LeasedEvent, Event, MarkEventsRequest and MarkEventRequest. */
const FRAME = { events: 1 } as const;
const LEASED = { event: 1, token: 2 } as const;
const EVENT = { id: 1, data: 10 } as const;
const MARKS = { marks: 1 } as const;
const MARK = { id: 1, status: 2, token: 4 } as const;
const PROCESSED = 1;

const VARINT = 0;
const BYTES = 2;
/** More than a mark has besides id and token: tags and lengths. */
const MARK_OVERHEAD_BYTES = 16;

/** Where a field's bytes lie. */
interface Range {
  from: number;
  to: number;
}

type Visit = (field: number, from: number, to: number) => void;

/** Calls `visit` with every length-delimited field of the message between `from` and `to`. */
function eachField(bytes: Buffer, { from, to }: Range, visit: Visit): void {
  let at = from;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] as number;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < to) {
    const tag = varint();
    const kind = tag & 7;
    if (kind === VARINT) varint();
    else if (kind === BYTES) {
      const length = varint();
      visit(tag >>> 3, at, at + length);
      at += length;
    } else throw new Error(`no frame of the bus has wire type ${kind}`);
  }
}

export interface Marks {
  /** A request that marks all events of the frame PROCESSED, with their tokens. */
  readonly request: Buffer;
  readonly count: number;
}

/** @param onBody is called with where the bytes of each body begin */
export function marksOf(frame: Buffer, onBody?: (from: number) => void): Marks {
  const leased: { id: Range; token: Range }[] = [];
  let bytes = 0;
  eachField(frame, { from: 0, to: frame.length }, (field, from, to) => {
    if (field !== FRAME.events) return;
    const found = { id: { from: 0, to: 0 }, token: { from: 0, to: 0 } };
    const visitEvent: Visit = (inner, start, end) => {
      if (inner === EVENT.id) found.id = { from: start, to: end };
      else if (inner === EVENT.data) onBody?.(start);
    };
    eachField(frame, { from, to }, (inner, start, end) => {
      if (inner === LEASED.token) found.token = { from: start, to: end };
      else if (inner === LEASED.event) eachField(frame, { from: start, to: end }, visitEvent);
    });
    leased.push(found);
    bytes += length(found.id) + length(found.token) + MARK_OVERHEAD_BYTES;
  });
  const request = Buffer.allocUnsafe(bytes);
  let end = 0;
  for (const each of leased) end = writeMark(request, end, frame, each);
  return { request: request.subarray(0, end), count: leased.length };
}

function writeMark(out: Buffer, start: number, frame: Buffer, { id, token }: { id: Range; token: Range }) {
  const fieldBytes = (range: Range) => 1 + varintBytes(length(range)) + length(range);
  let at = start;
  out[at++] = (MARKS.marks << 3) | BYTES;
  at = writeVarint(out, at, fieldBytes(id) + 2 + fieldBytes(token));
  at = copyField(out, at, MARK.id, frame, id);
  out[at++] = (MARK.status << 3) | VARINT;
  out[at++] = PROCESSED;
  return copyField(out, at, MARK.token, frame, token);
}

function copyField(out: Buffer, start: number, field: number, frame: Buffer, range: Range): number {
  let at = start;
  out[at++] = (field << 3) | BYTES;
  at = writeVarint(out, at, length(range));
  return at + frame.copy(out, at, range.from, range.to);
}

function writeVarint(out: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 128; rest >>>= 7) out[at++] = (rest & 127) | 128;
  out[at++] = rest;
  return at;
}

function varintBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : 3;
}

function length({ from, to }: Range): number {
  return to - from;
}
