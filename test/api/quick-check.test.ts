/**
 * The first look at a request never passes what the judge of our protos, protovalidate, would refuse; and it
 * does pass what callers send every day, or it would be of no use.
 */
import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  type MessageInitShape,
  ScalarType,
  setExtension,
} from '@bufbuild/protobuf';
import {
  type FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  FieldDescriptorProto_Label as Label,
  MessageOptionsSchema,
  StringValueSchema,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { createValidator } from '@bufbuild/protovalidate';
import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as rules from '../../gen/buf/validate/validate_pb.js';
import * as bus from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import * as fsm from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { SERVED_PROTOS } from '../../src/server/compose.js';
import { createQuickCheck } from '../../src/server/quick-check.js';

const isSurelyValid = createQuickCheck();
const judge = createValidator();

const REQUESTS = SERVED_PROTOS.flatMap(({ methods }) => methods.map(({ input }) => input));
const RUNS = 300;
const MOST_DEPTH = 4;

/** Around the bounds that the protos have, in bytes and in UTF-16 units. */
const TEXTS = ['', 'a', 'orders', 'a:b', 'a\u0001', 'é', 'a\ud800', '12-345'].concat(
  [42, 43, 64, 128, 256, 512].flatMap((most) =>
    ['a', 'é', '\u{1d4b3}'].flatMap((unit) => aroundBytes(unit, most)),
  ),
);
const NUMBERS = [-1, 0, 1, 2, 16, 100, 1_000, 1_001, 100_000, 100_001, 2 ** 30, 2 ** 31 - 1];
const LENGTHS = [0, 1, 2, 16, 17];

function aroundBytes(unit: string, most: number): string[] {
  const count = Math.floor(most / Buffer.byteLength(unit));
  return [unit.repeat(count), unit.repeat(count + 1)];
}

/** Values of a message that are as likely right as wrong. */
function valuesOf(schema: DescMessage, depth = 0): Arbitrary<object> {
  const plain = schema.fields.filter(({ oneof }) => oneof === undefined);
  const fields = plain.map((field): [string, Arbitrary<unknown>] => [field.localName, fieldOf(field, depth)]);
  const oneofs = schema.oneofs.map((oneof): [string, Arbitrary<unknown>] => {
    const cases = oneof.fields.map((field) =>
      singleOf(field, depth).map((value) => ({ case: field.localName, value })),
    );
    return [oneof.localName, fc.option(fc.oneof(...cases), { nil: { case: undefined } })];
  });
  return fc.record(Object.fromEntries([...fields, ...oneofs]), { noNullPrototype: true });
}

function fieldOf(field: DescField, depth: number): Arbitrary<unknown> {
  switch (field.fieldKind) {
    case 'list':
      return listOf(singleOf(field, depth));
    case 'map':
      return mapOf(singleOf(field, depth));
    case 'message':
      return fc.option(singleOf(field, depth), { nil: undefined });
    default:
      return field.proto.proto3Optional
        ? fc.option(singleOf(field, depth), { nil: undefined })
        : singleOf(field, depth);
  }
}

function mapOf(value: Arbitrary<unknown>): Arbitrary<object> {
  const any = fc.array(fc.tuple(keyOf(), value), { maxLength: 3 });
  const counted = fc
    .tuple(fc.constantFrom(...LENGTHS), value)
    .map(([count, each]) => Array.from({ length: count }, (_, i): [string, unknown] => [`key-${i}`, each]));
  return fc.oneof(any, counted).map(Object.fromEntries);
}

function keyOf(): Arbitrary<string> {
  return fc.oneof(fc.string({ minLength: 1, maxLength: 4 }), fc.constantFrom(...TEXTS));
}

/** Mostly short; now and then as many as no list may hold. */
function listOf<T>(item: Arbitrary<T>): Arbitrary<T[]> {
  const few = fc.array(item, { maxLength: 3 });
  const counted = fc
    .tuple(item, fc.constantFrom(...LENGTHS))
    .map(([each, count]) => Array(count).fill(each) as T[]);
  const many = item.map((each) => Array(1_001).fill(each) as T[]);
  return fc.oneof(
    { weight: 8, arbitrary: few },
    { weight: 3, arbitrary: counted },
    { weight: 1, arbitrary: many },
  );
}

function singleOf(field: DescField, depth: number): Arbitrary<unknown> {
  if (field.message) {
    if (depth >= MOST_DEPTH || field.message.typeName === 'google.protobuf.Struct') return fc.constant({});
    return valuesOf(field.message, depth + 1);
  }
  if (field.enum) return fc.constantFrom(...field.enum.values.map(({ number }) => number), 99);
  return scalarOf(field.scalar as ScalarType);
}

function scalarOf(scalar: ScalarType): Arbitrary<unknown> {
  switch (scalar) {
    case ScalarType.STRING:
      return fc.oneof(fc.constantFrom('a', 'orders', '12-345'), fc.constantFrom(...TEXTS));
    case ScalarType.BYTES:
      return fc.constantFrom(0, 1, 2 ** 20, 2 ** 20 + 1).map((size) => new Uint8Array(size));
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return fc.constantFrom(...NUMBERS).map(BigInt);
    default:
      return fc.constantFrom(...NUMBERS);
  }
}

/** A message with one field, `text`, under these rules. */
function ruled(
  field: MessageInitShape<typeof rules.FieldRulesSchema>,
  message: MessageInitShape<typeof rules.MessageRulesSchema> = {},
  kind: MessageInitShape<typeof FieldDescriptorProtoSchema> = { type: Type.STRING, label: Label.OPTIONAL },
): DescMessage {
  const options = create(FieldOptionsSchema);
  setExtension(options, rules.field, create(rules.FieldRulesSchema, field));
  const ofMessage = create(MessageOptionsSchema);
  setExtension(ofMessage, rules.message, create(rules.MessageRulesSchema, message));
  const file = create(FileDescriptorProtoSchema, {
    name: 'ruled.proto',
    package: 'ruled',
    syntax: 'proto3',
    dependency: ['buf/validate/validate.proto', 'google/protobuf/wrappers.proto'],
    messageType: [
      {
        name: 'Ruled',
        field: [{ ...kind, name: 'text', number: 1, options }],
        ...(Object.keys(message).length > 0 && { options: ofMessage }),
      },
    ],
  });
  const registry = createFileRegistry(file, (name) =>
    name.startsWith('buf') ? rules.file_buf_validate_validate : file_google_protobuf_wrappers,
  );
  return registry.getMessage('ruled.Ruled') as DescMessage;
}

describe('the first look at a request', () => {
  it.each(REQUESTS.map((schema) => [schema.typeName, schema] as const))(
    'passes no %s that is refused',
    (_, schema) => {
      fc.assert(
        fc.property(valuesOf(schema), (values) => {
          const message = create(schema, values as MessageInitShape<typeof schema>);
          if (isSurelyValid(schema, message)) expect(judge.validate(schema, message).kind).toBe('valid');
        }),
        { numRuns: RUNS },
      );
    },
  );

  it('has something to tell the bad from the good by: both come up', () => {
    const passed = new Map([true, false].map((is) => [is, 0]));
    for (const schema of REQUESTS)
      for (const values of fc.sample(valuesOf(schema), 50)) {
        const isPassed = isSurelyValid(schema, create(schema, values as MessageInitShape<typeof schema>));
        passed.set(isPassed, (passed.get(isPassed) ?? 0) + 1);
      }
    expect(passed.get(true)).toBeGreaterThan(300);
    expect(passed.get(false)).toBeGreaterThan(300);
  });

  const everyday = [
    [
      fsm.SendEventRequestSchema,
      {
        configurationName: 'orders',
        fsmId: 'o-1',
        event: { eventId: 'e-1', name: 'accept', originator: 'shop' },
      },
    ],
    [
      bus.WriteEventsRequestSchema,
      {
        stream: 'orders',
        events: [
          {
            type: 'order.placed',
            attributes: { region: 'eu' },
            body: { case: 'data', value: new Uint8Array(9) },
          },
          { type: 'order.placed', body: { case: 'json', value: { order: 1, of: [{ n: 1 }] } } },
        ],
      },
    ],
    [bus.ProcessEventsRequestSchema, { stream: 'orders', follow: true }],
    [bus.MarkEventsRequestSchema, { marks: [{ eventId: '12-345', status: 1, leaseToken: '2s.default' }] }],
  ] as const;

  it.each(everyday.map(([schema, values]) => [schema.typeName, schema, values] as const))(
    'passes an everyday %s',
    (_, schema: DescMessage, values) => {
      expect(isSurelyValid(schema, create(schema, values as never))).toBe(true);
    },
  );

  const cel = [{ id: 'never', message: 'is never right', expression: 'false' }];
  it.each([
    ['an expression for a field', ruled({ cel })],
    ['an expression for a message', ruled({}, { cel })],
    ['a rule that it has not learnt', ruled({ type: { case: 'string', value: { prefix: 'order-' } } })],
    ['an exception that it has not learnt', ruled({ ignore: rules.Ignore.IF_ZERO_VALUE })],
  ])('leaves %s to the judge', (_, schema) => {
    expect(isSurelyValid(schema, create(schema, { text: 'a' } as never))).toBe(false);
  });

  it('leaves a rule of an extension to the judge, which has no field of its own', () => {
    const string = create(rules.StringRulesSchema, { maxBytes: 9n });
    string.$unknown = [{ no: 1_000, wireType: 0, data: new Uint8Array([1]) }];
    const schema = ruled({ type: { case: 'string', value: string } });
    expect(isSurelyValid(schema, create(schema, { text: 'a' } as never))).toBe(false);
  });

  it('leaves a text in a wrapper to the judge', () => {
    const items = { type: { case: 'string' as const, value: { pattern: '^[^:]*$' } } };
    const wrapped = { type: Type.MESSAGE, typeName: '.google.protobuf.StringValue', label: Label.REPEATED };
    const schema = ruled({ type: { case: 'repeated', value: { items } } }, {}, wrapped);
    const message = create(schema, { text: [create(StringValueSchema, { value: 'a:b' })] } as never);
    expect(judge.validate(schema, message).kind).toBe('invalid');
    expect(isSurelyValid(schema, message)).toBe(false);
  });

  it('passes what is ruled by no more than it has learnt', () => {
    const schema = ruled({ type: { case: 'string', value: { maxBytes: 1n } } });
    expect(isSurelyValid(schema, create(schema, { text: 'a' } as never))).toBe(true);
    expect(isSurelyValid(schema, create(schema, { text: 'aa' } as never))).toBe(false);
  });
});
