/**
 * What checking a request costs: as it is served, by a first look and then, only if that is in doubt, by
 * the library; and by the library alone, with the pattern engine that we use and with its own.
 *
 *   npx tsc -p test/bench && node dist/test/bench/validation.js
 */
import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { BusService, MarkEventsRequestSchema } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { FsmService, SendEventRequestSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { createJudge, createValidate } from '../../src/server/validation.js';

const MARKS = 100;
const SEND = create(SendEventRequestSchema, {
  configurationName: 'orders',
  fsmId: 'order-00001234',
  event: { eventId: 'e-000000123456', name: 'accept', originator: 'bench' },
});
const MARK = create(MarkEventsRequestSchema, {
  marks: Array.from({ length: MARKS }, (_, i) => ({
    eventId: `12-${1_000 + i}`,
    status: EventStatus.PROCESSED,
    leaseToken: '9ix.default',
  })),
});

/** Nanoseconds a call; the first tenth is spent on compiling. */
function timeNs(rounds: number, run: () => void): string {
  for (let i = 0; i < rounds / 10; i++) run();
  const startMs = performance.now();
  for (let i = 0; i < rounds; i++) run();
  return (((performance.now() - startMs) * 1e6) / rounds).toFixed(0).padStart(8);
}

function compare<D extends DescMessage>(title: string, rounds: number, schema: D, request: MessageShape<D>) {
  console.log(title);
  console.log(`  as served             ${timeNs(rounds, () => validate(schema, request))} ns`);
  console.log(`  the library           ${timeNs(rounds, () => judge(schema, request))} ns`);
  console.log(`  with its own patterns ${timeNs(rounds, () => library.validate(schema, request))} ns`);
}

const startMs = performance.now();
const validate = createValidate([FsmService, BusService]);
console.log(`made and warmed in ${(performance.now() - startMs).toFixed(0)} ms`);
const judge = createJudge();
const library = createValidator();
compare('SendEvent', 300_000, SendEventRequestSchema, SEND);
compare(`MarkEvents of ${MARKS}`, 10_000, MarkEventsRequestSchema, MARK);
