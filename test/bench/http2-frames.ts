/**
 * As much of HTTP/2 (RFC 9113) and of its header compression (RFC 7541) as a client needs that says the same
 * headers with every call and forbids the server to refer to headers it sent before.
 */

export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
/** END_STREAM of data and headers; ACK of settings and pings. */
export const LAST = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;

/** By which a server knows that a client speaks HTTP/2. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const HEAD_BYTES = 9;
const MAX_WINDOW_BYTES = 2 ** 31 - 1;
/** What every connection begins with, until it is told otherwise. */
export const FIRST_WINDOW_BYTES = 65_535;
/** What a server takes in one frame, unless it says that it takes more. */
const MAX_PAYLOAD_BYTES = 16_384;
/** Reason of a reset: the caller wants no more. */
const CANCEL = 8;
const SETTING = { headerTableBytes: 1, push: 2, calls: 3, windowBytes: 4 } as const;
const SETTING_BYTES = 6;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  if (payload.length > MAX_PAYLOAD_BYTES) throw new RangeError(`a frame cannot hold ${payload.length} bytes`);
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  payload.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** Splits what comes on a connection into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(chunk: Buffer): Generator<Frame> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      const [type, flags] = [bytes[3] as number, bytes[4] as number];
      const carriesMore = type === FRAME.headers && !(flags & END_HEADERS);
      if (carriesMore || (type <= FRAME.headers && flags & PADDED))
        throw new Error(`no answer of this server has frames of type ${type} with flags ${flags}`);
      yield { type, flags, streamId: bytes.readUInt32BE(5), payload: bytes.subarray(HEAD_BYTES, end) };
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }
}

/** How a client begins: headers are not to refer to earlier ones, and it takes whatever is sent. */
export function hello(): Buffer {
  const settings: [number, number][] = [
    [SETTING.headerTableBytes, 0],
    [SETTING.push, 0],
    [SETTING.windowBytes, MAX_WINDOW_BYTES],
  ];
  const payload = Buffer.alloc(settings.length * SETTING_BYTES);
  settings.forEach(([name, value], i) => {
    payload.writeUInt16BE(name, i * SETTING_BYTES);
    payload.writeUInt32BE(value, i * SETTING_BYTES + 2);
  });
  return Buffer.concat([
    PREFACE,
    frame(FRAME.settings, 0, 0, payload),
    windowUpdate(MAX_WINDOW_BYTES - FIRST_WINDOW_BYTES),
  ]);
}

/** How many calls may be under way, if the server's settings say so; whoever has more is cut off. */
export function mostCallsIn(settings: Buffer): number | undefined {
  for (let at = 0; at < settings.length; at += SETTING_BYTES)
    if (settings.readUInt16BE(at) === SETTING.calls) return settings.readUInt32BE(at + 2);
  return undefined;
}

/** Lets the server send so many bytes more on the connection. */
export function windowUpdate(bytes: number): Buffer {
  return frame(FRAME.windowUpdate, 0, 0, number4(bytes));
}

export function reset(streamId: number): Buffer {
  return frame(FRAME.reset, 0, streamId, number4(CANCEL));
}

/** A call with all of its request. */
export function call(streamId: number, headers: Buffer, body: Buffer): Buffer {
  return Buffer.concat([
    frame(FRAME.headers, END_HEADERS, streamId, headers),
    frame(FRAME.data, LAST, streamId, body),
  ]);
}

function number4(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Headers of a call by gRPC, compressed. Numbers are places in the table of RFC 7541, appendix A. */
export function callHeaders(address: string, path: string, authorization?: string): Buffer {
  const parts = [
    Buffer.from([0x83, 0x86]), // :method POST, :scheme http
    header(1, address), // :authority
    header(4, path), // :path
    header(31, 'application/grpc'), // content-type
    Buffer.concat([Buffer.from([0]), text('te'), text('trailers')]),
  ];
  if (authorization) parts.push(header(23, authorization));
  return Buffer.concat(parts);
}

/** One that nobody shall remember. */
function header(place: number, value: string): Buffer {
  return Buffer.concat([number(place, 4), text(value)]);
}

function text(value: string): Buffer {
  return Buffer.concat([number(value.length, 7), Buffer.from(value, 'latin1')]);
}

/** A number that begins in the last `bits` of a byte (RFC 7541, 5.1). */
function number(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** `grpc-status: 0` after the byte that says how it is remembered: the name by Huffman's code, the value as it is. */
const STATUS_OK = Buffer.from('889acac8b21234da8f0130', 'hex');

export function tellsOk(trailers: Buffer): boolean {
  return trailers.includes(STATUS_OK);
}
