/**
 * Every field of every request of switchgear.fsm.v1, taken from the proto itself: whatever its
 * constraints forbid is answered INVALID_ARGUMENT naming the field, and nothing has changed; whatever
 * they allow, hostile as it may look, is not refused for its form.
 */
import { create, type DescField, type DescMessage, getOption, hasOption } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FieldRules, field as fieldRules, Ignore } from '../../gen/buf/validate/validate_pb.js';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { type FsmServer, startFsmServer } from './fsm-server.js';

const HOSTILE = [
  '{',
  '}',
  '{a}:b',
  ':',
  '#',
  '%7B',
  '!',
  'a\nb',
  'a\u0000b',
  '../..',
  '*',
  "';--",
  '🜁'.repeat(8),
];

/** A field somewhere inside a request, and how to write a request in which it has a given value. */
interface Place {
  readonly rpc: string;
  /** As in the answer's field violations. */
  readonly path: string;
  readonly rules: FieldRules;
  readonly input: DescMessage;
  readonly names: readonly string[];
  readonly field: DescField;
}

function placesOf(rpc: string, input: DescMessage, message = input, names: string[] = []): Place[] {
  return message.fields.flatMap((field): Place[] => {
    if (names.length > 3) return [];
    const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
    if (rules?.ignore === Ignore.ALWAYS) return [];
    const path = [...names, field.name];
    const own = rules
      ? [{ rpc, path: path.join('.'), rules, input, names: [...names, field.localName], field }]
      : [];
    const nested = field.fieldKind === 'message' && !field.message.typeName.startsWith('google.');
    return nested ? [...own, ...placesOf(rpc, input, field.message, [...names, field.localName])] : own;
  });
}

const PLACES = FsmService.methods
  .filter(({ methodKind }) => methodKind === 'unary')
  .flatMap((method) => placesOf(method.localName, method.input));

/** A request that is right but for what is put at `names`. */
function requestWith(server: FsmServer, { rpc, input, names }: Place, value: unknown) {
  const request = create(input, server.rightRequest(rpc) as never);
  let target = reflect(input, request);
  for (const name of names.slice(0, -1)) {
    const field = target.fields.find((candidate) => candidate.localName === name) as DescField & {
      fieldKind: 'message';
    };
    if (!target.isSet(field)) target.set(field, reflect(field.message));
    target = target.get(field) as typeof target;
  }
  (target.message as unknown as Record<string, unknown>)[names.at(-1) as string] = value;
  return request;
}

describe('every field of switchgear.fsm.v1', () => {
  let server: FsmServer;
  beforeAll(async () => {
    server = await startFsmServer();
  });
  afterAll(() => server.stop());

  async function refused(place: Place, value: unknown): Promise<void> {
    const before = await server.snapshot();
    const error = await server.call(place.rpc, requestWith(server, place, value)).then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    expect(error && Code[error.code], `${place.rpc} ${place.path}`).toBe('InvalidArgument');
    const fields = error
      ?.findDetails(BadRequestSchema)
      .flatMap((detail) => detail.fieldViolations.map((v) => v.field));
    expect(fields?.some((field) => field.startsWith(place.path))).toBe(true);
    expect(await server.snapshot()).toEqual(before);
  }

  const texts = PLACES.filter(({ field }) => field.fieldKind === 'scalar' && field.scalar === 9);
  const numbers = PLACES.filter(({ rules }) => rules.type.case === 'int32' || rules.type.case === 'int64');

  it('is found by walking the proto', () => {
    expect(texts.length).toBeGreaterThan(40);
    expect(numbers.length).toBeGreaterThanOrEqual(8);
  });

  it.each(texts.map((place) => [`${place.rpc} ${place.path}`, place] as const))(
    '%s has a limit',
    async (_, place) => {
      const rules = place.rules.type.value as { maxBytes?: bigint; minBytes?: bigint; pattern?: string };
      expect(rules.maxBytes, 'every text states its limit').toBeGreaterThan(0n);
      const most = Number(rules.maxBytes);
      await refused(place, 'x'.repeat(most + 1));
      // Counted in bytes: half as many two-byte characters, and one more.
      await refused(place, 'é'.repeat(most / 2 + 1));
      if (rules.minBytes) await refused(place, '');
      if (rules.pattern) for (const text of ['a:b', 'a\nb', 'a\u0000']) await refused(place, text);
    },
  );

  it.each(numbers.map((place) => [`${place.rpc} ${place.path}`, place] as const))(
    '%s refuses less than nothing',
    async (_, place) => {
      await refused(place, place.rules.type.case === 'int64' ? -1n : -1);
    },
  );

  it.each(
    PLACES.filter(({ rules }) => rules.required).map(
      (place) => [`${place.rpc} ${place.path}`, place] as const,
    ),
  )('%s is required', async (_, place) => {
    await refused(place, undefined);
  });

  const free = texts.filter(({ rules, path }) => {
    const { pattern } = rules.type.value as { pattern?: string };
    return !pattern && !path.endsWith('token') && path !== 'cursor';
  });

  it.each(free.map((place) => [`${place.rpc} ${place.path}`, place] as const))(
    '%s takes any text that fits',
    async (_, place) => {
      const most = Number((place.rules.type.value as { maxBytes: bigint }).maxBytes);
      for (const text of [...HOSTILE, 'x'.repeat(most)]) {
        const error = await server.call(place.rpc, requestWith(server, place, text)).then(
          () => undefined,
          (reason: unknown) => ConnectError.from(reason),
        );
        // A state that the configuration does not have is refused for that, not for its form.
        if (error?.code === Code.InvalidArgument) expect(error.rawMessage).toMatch(/state|token|contradicts/);
        else
          expect([undefined, Code.NotFound, Code.AlreadyExists, Code.FailedPrecondition]).toContain(
            error?.code,
          );
      }
    },
  );

  it.each([
    ['listConfigurations', {}],
    ['listConfigurationVersions', {}],
    ['listFiniteStateMachines', {}],
    ['listTransitions', {}],
  ])('%s refuses a page token that it did not make', async (rpc) => {
    for (const token of ['x', 'AAAA', Buffer.from('[["fsms"],"x"]').toString('base64url'), '🜁']) {
      const request = { ...(server.rightRequest(rpc) as object), pageToken: token };
      await expect(server.call(rpc, request)).rejects.toMatchObject({ code: Code.InvalidArgument });
    }
  });
});
