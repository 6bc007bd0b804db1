/** What a caller is told of a field that breaks its rule: what to send instead, in the proto's own names. */
import {
  create,
  createFileRegistry,
  type DescMessage,
  type MessageInitShape,
  setExtension,
} from '@bufbuild/protobuf';
import {
  type FieldOptions,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import {
  FieldRulesSchema,
  field as fieldRules,
  file_buf_validate_validate,
} from '../../gen/buf/validate/validate_pb.js';
import { EventStatus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import {
  MarkEventRequestSchema,
  MarkEventsRequestSchema,
} from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { createValidate } from '../../src/server/validation.js';

const validate = createValidate([]);

function optionsWith(rules: MessageInitShape<typeof FieldRulesSchema>): FieldOptions {
  const options = create(FieldOptionsSchema);
  setExtension(options, fieldRules, create(FieldRulesSchema, rules));
  return options;
}

/** A proto of its own: `one` may be red or blue, each of `many` green. */
function paint(): DescMessage {
  const color = { type: Type.ENUM, typeName: '.paint.Color' };
  const redOrBlue = optionsWith({ type: { case: 'enum', value: { in: [1, 2] } } });
  const green = { type: { case: 'enum' as const, value: { in: [3] } } };
  const eachGreen = optionsWith({ type: { case: 'repeated', value: { items: green } } });
  const file = create(FileDescriptorProtoSchema, {
    name: 'paint.proto',
    package: 'paint',
    syntax: 'proto3',
    dependency: ['buf/validate/validate.proto'],
    enumType: [
      {
        name: 'Color',
        value: ['NONE', 'RED', 'BLUE', 'GREEN'].map((name, number) => ({ name: `COLOR_${name}`, number })),
      },
    ],
    messageType: [
      {
        name: 'Paint',
        field: [
          {
            ...color,
            name: 'one',
            number: 1,
            label: Label.OPTIONAL,
            options: redOrBlue,
          },
          {
            ...color,
            name: 'many',
            number: 2,
            label: Label.REPEATED,
            options: eachGreen,
          },
        ],
      },
    ],
  });
  return createFileRegistry(file, () => file_buf_validate_validate).getMessage('paint.Paint') as DescMessage;
}

describe('a value that is none of those allowed', () => {
  it('is told which are, by name', () => {
    const words = {
      description: 'must be EVENT_STATUS_PROCESSED, EVENT_STATUS_RETRY or EVENT_STATUS_UNPROCESSED',
      rule: 'enum.in',
    };
    const mark = create(MarkEventRequestSchema, { eventId: '1-1', status: EventStatus.LEASED });
    expect(validate(MarkEventRequestSchema, mark)).toEqual([{ field: 'status', ...words }]);
    const marks = create(MarkEventsRequestSchema, { marks: [mark] });
    expect(validate(MarkEventsRequestSchema, marks)).toEqual([{ field: 'marks[0].status', ...words }]);
  });

  it('is told those of its own field, also within a list', () => {
    const schema = paint();
    const violations = validate(schema, create(schema, { one: 3, many: [3, 1] }));
    expect(violations).toEqual([
      { field: 'one', description: 'must be COLOR_RED or COLOR_BLUE', rule: 'enum.in' },
      { field: 'many[1]', description: 'must be COLOR_GREEN', rule: 'enum.in' },
    ]);
    expect(validate(schema, create(schema, { one: 2, many: [3] }))).toEqual([]);
  });
});
