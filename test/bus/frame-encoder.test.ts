/** A frame has the bytes that the library would give it, whatever its events are made of. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Event,
  EventSchema,
  EventStatus,
  type LeasedEvent,
  LeasedEventSchema,
} from '../../gen/switchgear/bus/v1/bus_pb.js';
import { ProcessEventsResponseSchema } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { encodeFrame } from '../../src/bus/frame-encoder.js';
import { timestampFromMs } from '../../src/timestamp.js';

const text = fc.oneof(fc.constant(''), fc.string({ unit: 'binary', maxLength: 200 }));
const time = fc.option(fc.integer({ min: -1, max: 2 ** 43 }).map(timestampFromMs), { nil: undefined });

const body: Arbitrary<Event['body']> = fc.oneof(
  fc.constant({ case: undefined }),
  fc.uint8Array({ maxLength: 300 }).map((value) => ({ case: 'data' as const, value })),
  fc
    .dictionary(fc.string(), fc.jsonValue())
    .map((value) => ({ case: 'json' as const, value: value as never })),
);

const event: Arbitrary<Event> = fc
  .record({
    eventId: text,
    stream: text,
    seq: fc.bigInt({ min: 0n, max: 2n ** 48n }),
    createTime: time,
    type: text,
    attributes: fc.dictionary(text, text, { maxKeys: 16 }),
    orderingKey: text,
    contentType: text,
    body,
    status: fc.constantFrom(...Object.values(EventStatus).filter((value) => typeof value === 'number')),
  })
  .map((fields) => create(EventSchema, fields as never));

const leased: Arbitrary<LeasedEvent> = fc
  .record({
    event: fc.option(event, { nil: undefined }),
    leaseToken: text,
    attempt: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    deadline: time,
  })
  .map((fields) => create(LeasedEventSchema, fields as never));

describe('a frame', () => {
  it('is encoded as the library encodes it', () => {
    fc.assert(
      fc.property(fc.array(leased, { maxLength: 20 }), (events) => {
        const frame = create(ProcessEventsResponseSchema, { events });
        expect(Buffer.from(encodeFrame(frame))).toEqual(
          Buffer.from(toBinary(ProcessEventsResponseSchema, frame)),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('is encoded whole: every field that an event, a leased event and a frame have', () => {
    const names = [ProcessEventsResponseSchema, LeasedEventSchema, EventSchema].map(({ fields }) =>
      fields.map(({ localName }) => localName),
    );
    expect(names).toEqual([
      ['events'],
      ['event', 'leaseToken', 'attempt', 'deadline'],
      [
        'eventId',
        'stream',
        'seq',
        'createTime',
        'type',
        'attributes',
        'orderingKey',
        'contentType',
        'json',
        'data',
        'status',
      ],
    ]);
  });

  it('can be longer than what is reserved for it at first', () => {
    const events = Array.from({ length: 300 }, (_, i) =>
      create(LeasedEventSchema, {
        event: { eventId: `1-${i}`, body: { case: 'data', value: new Uint8Array(i) } },
        attempt: 1,
      }),
    );
    const frame = create(ProcessEventsResponseSchema, { events });
    expect(fromBinary(ProcessEventsResponseSchema, encodeFrame(frame))).toEqual(frame);
  });
});
