/**
 * Every field of every request of a service, taken from the proto itself: whatever its constraints forbid
 * is answered INVALID_ARGUMENT naming the field, and nothing has changed; whatever they allow, hostile as
 * it may look, is not refused for its form.
 */
import {
  create,
  type DescField,
  type DescMessage,
  type DescService,
  getOption,
  hasOption,
} from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DurationRules,
  type EnumRules,
  type FieldRules,
  field as fieldRules,
  Ignore,
  type MapRules,
  type RepeatedRules,
  type StringRules,
} from '../../gen/buf/validate/validate_pb.js';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.js';

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

/** A server that the fields are tried on. */
export interface FieldsServer {
  /** Calls an rpc by its local name; of a stream the first answer is enough. */
  call(rpc: string, request: object): Promise<unknown>;
  /** A request that the rpc accepts, on what the server was started with. */
  rightRequest(rpc: string): object;
  /** Everything that a write could change, to be compared before and after. */
  snapshot(): Promise<unknown>;
  stop(): Promise<void>;
}

export interface FieldsOptions {
  readonly service: DescService;
  readonly start: () => Promise<FieldsServer>;
  /** Texts that are looked up or decoded and so refused for what they say, by the end of their path. */
  readonly meant: RegExp;
  /** Why a text that fits may still be INVALID_ARGUMENT. */
  readonly objections: RegExp;
  /** At least so many texts and numbers are found: the walk walks. */
  readonly least: { readonly texts: number; readonly numbers: number };
}

/** A field somewhere inside a request; the first item stands for all of a list. */
interface Place {
  readonly rpc: string;
  /** As in the answer's field violations. */
  readonly path: string;
  readonly rules: FieldRules;
  readonly input: DescMessage;
  readonly fields: readonly DescField[];
}

type Fields = Record<string, unknown>;

export function describeEveryField({ service, start, meant, objections, least }: FieldsOptions): void {
  const places = service.methods
    .filter(({ methodKind }) => methodKind === 'unary' || methodKind === 'server_streaming')
    .flatMap((method) => placesOf(method.localName, method.input));

  describe(`every field of ${service.typeName}`, () => {
    let server: FieldsServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.stop());

    async function refused(place: Place, value: unknown): Promise<void> {
      const before = await server.snapshot();
      const error = await failureOf(server.call(place.rpc, requestWith(server, place, value)));
      expect(error && Code[error.code], `${place.rpc} ${place.path} ${shown(value)}`).toBe('InvalidArgument');
      const fields = error
        ?.findDetails(BadRequestSchema)
        .flatMap((detail) => detail.fieldViolations.map((violation) => violation.field));
      expect(fields?.some((field) => field.startsWith(place.path))).toBe(true);
      expect(await server.snapshot()).toEqual(before);
    }

    const texts = places.filter(({ rules }) => rules.type.case === 'string');
    const numbers = places.filter(({ rules }) => rules.type.case === 'int32' || rules.type.case === 'int64');
    const named = (some: Place[]) => some.map((place) => [`${place.rpc} ${place.path}`, place] as const);

    it('is found by walking the proto', () => {
      expect(texts.length).toBeGreaterThan(least.texts);
      expect(numbers.length).toBeGreaterThanOrEqual(least.numbers);
    });

    it.each(named(texts))('%s has a limit', async (_, { rules }) => {
      expect((rules.type.value as StringRules).maxBytes, 'every text states its limit').toBeGreaterThan(0n);
    });

    it.each(named(places))('%s refuses what its rules forbid', async (_, place) => {
      for (const value of forbidden(place)) await refused(place, value);
    });

    const free = texts.filter(
      ({ rules, path }) => !(rules.type.value as StringRules).pattern && !meant.test(path),
    );

    it.each(named(free))('%s takes any text that fits', async (_, place) => {
      const most = Number((place.rules.type.value as StringRules).maxBytes);
      for (const text of [...HOSTILE, 'x'.repeat(most)]) {
        const error = await failureOf(server.call(place.rpc, requestWith(server, place, text)));
        if (error?.code === Code.InvalidArgument) expect(error.rawMessage).toMatch(objections);
        else
          expect([undefined, Code.NotFound, Code.AlreadyExists, Code.FailedPrecondition]).toContain(
            error?.code,
          );
      }
    });

    it.each(named(texts.filter(({ path }) => path === 'page_token' || path === 'next_token')))(
      '%s is refused if the service did not make it',
      async (_, place) => {
        for (const token of ['x', 'AAAA', Buffer.from('[["fsms"],"x"]').toString('base64url'), '🜁'])
          await refused(place, token);
      },
    );
  });
}

function placesOf(rpc: string, input: DescMessage, message = input, above: Place['fields'] = []): Place[] {
  if (above.length > 3) return [];
  return message.fields.flatMap((field): Place[] => {
    const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined;
    if (rules?.ignore === Ignore.ALWAYS) return [];
    const fields = [...above, field];
    const own = rules ? [{ rpc, path: pathOf(fields), rules, input, fields }] : [];
    const inner = innerMessage(field);
    return inner ? [...own, ...placesOf(rpc, input, inner, fields)] : own;
  });
}

function innerMessage(field: DescField): DescMessage | undefined {
  const isMessage =
    field.fieldKind === 'message' || (field.fieldKind === 'list' && field.listKind === 'message');
  return isMessage && !field.message.typeName.startsWith('google.') ? field.message : undefined;
}

function pathOf(fields: readonly DescField[]): string {
  const names = fields.map((field, i) =>
    field.fieldKind === 'list' && i < fields.length - 1 ? `${field.name}[0]` : field.name,
  );
  return names.join('.');
}

/** A request that is right but for what is put at the place. */
function requestWith(server: FieldsServer, { rpc, input, fields }: Place, value: unknown): object {
  const request = create(input, server.rightRequest(rpc) as never);
  let target = request as unknown as Fields;
  for (const field of fields.slice(0, -1)) {
    const made = () => create(innerMessage(field) as DescMessage) as unknown as Fields;
    if (field.fieldKind === 'list') {
      const list = target[field.localName] as Fields[];
      if (list.length === 0) list.push(made());
      target = list[0] as Fields;
    } else {
      target[field.localName] ??= made();
      target = target[field.localName] as Fields;
    }
  }
  const last = fields.at(-1) as DescField;
  if (last.oneof) target[last.oneof.localName] = { case: last.localName, value };
  else target[last.localName] = value;
  return request;
}

/** Values that the rules of a place forbid. */
function forbidden({ rules, fields }: Place): unknown[] {
  const { type } = rules;
  const values: unknown[] = rules.required ? [undefined] : [];
  const field = fields.at(-1) as DescField;
  switch (type.case) {
    case 'string':
      return [...values, ...forbiddenTexts(type.value)];
    case 'int32':
    case 'int64': {
      const { greaterThan, lessThan } = type.value;
      const step = type.case === 'int64' ? 1n : 1;
      if (greaterThan.case === 'gte') values.push((greaterThan.value as number) - (step as number));
      if (lessThan.case === 'lte') values.push((lessThan.value as number) + (step as number));
      return values;
    }
    case 'duration':
      return [...values, ...forbiddenDurations(type.value)];
    case 'enum':
      return [...values, ...forbiddenEnums(type.value)];
    case 'bytes':
      return [...values, new Uint8Array(Number(type.value.maxLen) + 1)];
    case 'repeated':
      return [...values, ...forbiddenLists(type.value, field)];
    case 'map':
      return [...values, ...forbiddenMaps(type.value)];
    default:
      return values;
  }
}

function forbiddenTexts({ maxBytes, minBytes, pattern }: StringRules): string[] {
  const most = Number(maxBytes);
  // Counted in bytes: half as many two-byte characters, and one more.
  const values = ['x'.repeat(most + 1), 'é'.repeat(most / 2 + 1)];
  if (minBytes) values.push('');
  if (pattern) values.push('a:b', 'a\nb', 'a\u0000');
  return values;
}

function forbiddenDurations({ greaterThan, lessThan }: DurationRules): unknown[] {
  const { seconds: least } = greaterThan.value as { seconds: bigint };
  const { seconds: most } = lessThan.value as { seconds: bigint };
  return [
    least === 0n ? { nanos: -1 } : { seconds: least - 1n, nanos: 999_999_999 },
    { seconds: -1n },
    { seconds: most, nanos: 1 },
    { seconds: most + 1n },
  ].map((value) => create(DurationSchema, value));
}

function forbiddenEnums(rules: EnumRules): number[] {
  return rules.in.length > 0 ? [0, Math.max(...rules.in) + 1, 99, -1] : [99, -1];
}

function forbiddenLists({ minItems, maxItems, items, unique }: RepeatedRules, field: DescField): unknown[] {
  const item = field.fieldKind === 'list' && field.listKind === 'message' ? create(field.message) : '1-1';
  const values: unknown[] = [
    Array.from({ length: Number(maxItems) + 1 }, (_, i) => (unique ? `${i}` : item)),
  ];
  if (minItems) values.push([]);
  if (unique) values.push(['twice', 'twice']);
  if (items?.type.case === 'string') values.push(...forbiddenTexts(items.type.value).map((text) => [text]));
  return values;
}

function forbiddenMaps({ maxPairs, keys, values }: MapRules): unknown[] {
  const wrongKeys = keys?.type.case === 'string' ? forbiddenTexts(keys.type.value) : [];
  const wrongValues = values?.type.case === 'string' ? forbiddenTexts(values.type.value) : [];
  return [
    Object.fromEntries(Array.from({ length: Number(maxPairs) + 1 }, (_, i) => [`k${i}`, 'v'])),
    ...wrongKeys.map((key) => ({ [key]: 'v' })),
    ...wrongValues.map((value) => ({ k: value })),
  ];
}

/** Calls an rpc by its local name; of a stream it takes the first answer and leaves. */
export async function firstAnswer(client: object, rpc: string, request: object): Promise<unknown> {
  const answer = (client as Record<string, (request: object) => unknown>)[rpc]?.(request);
  if (!isStream(answer)) return answer;
  for await (const first of answer) return first;
  return undefined;
}

function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer;
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError | undefined> {
  return call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
}

function shown(value: unknown): string {
  return String(JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each))).slice(
    0,
    80,
  );
}
