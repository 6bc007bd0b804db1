/**
 * What checking one SendEventRequest costs, with the pattern engine that we use and with the library's own.
 *
 *   npx tsc -p test/bench && node dist/test/bench/validation.js
 */
import { create } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import { FsmService, SendEventRequestSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { createValidate } from '../../src/server/validation.js';

const ROUNDS = 300_000;
const REQUEST = create(SendEventRequestSchema, {
  configurationName: 'orders',
  fsmId: 'order-00001234',
  event: { eventId: 'e-000000123456', name: 'accept', originator: 'bench' },
});

function report(title: string, run: () => void): void {
  for (let i = 0; i < ROUNDS / 10; i++) run();
  const startMs = performance.now();
  for (let i = 0; i < ROUNDS; i++) run();
  const ns = ((performance.now() - startMs) * 1e6) / ROUNDS;
  console.log(`${title.padEnd(24)} ${ns.toFixed(0).padStart(6)} ns`);
}

const startMs = performance.now();
const validate = createValidate([FsmService]);
console.log(`made and warmed in       ${(performance.now() - startMs).toFixed(0).padStart(6)} ms`);
const library = createValidator();
report('with platform patterns', () => validate(SendEventRequestSchema, REQUEST));
report('with RE2 patterns', () => library.validate(SendEventRequestSchema, REQUEST));
