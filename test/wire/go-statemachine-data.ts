/**
 * Data as go-statemachine lays it down, key by key and byte by byte, in database 1 of a Redis of its
 * own. What its own code would do in several steps is several calls here, so that a test can leave one
 * out.
 */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Redis } from 'ioredis';
import * as beta from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { RedisServer } from '../support/redis-server.js';

export const { Ok, InternalError, EventNotAllowed, FsmNotFound } = beta.EventOutcome_StatusCode;

/** Event number `i` of a history, at a second of its own. */
export const timeOf = (i: number) => timestampFromMs(1_700_000_000_000 + i * 1_000);

export class GoStatemachineData {
  readonly server: RedisServer;
  readonly redis: Redis;

  private constructor(server: RedisServer, redis: Redis) {
    this.server = server;
    this.redis = redis;
  }

  static async start(args: readonly string[] = []): Promise<GoStatemachineData> {
    const server = await RedisServer.start(args);
    const password = args[args.indexOf('--requirepass') + 1];
    const secret = args.includes('--requirepass') && password ? { password } : {};
    return new GoStatemachineData(server, new Redis({ port: server.port, db: 1, ...secret }));
  }

  get url(): string {
    return `${this.server.url}/1`;
  }

  async stop(): Promise<void> {
    this.redis.disconnect();
    await this.server.stop();
  }

  async putConfiguration(configuration: MessageInitShape<typeof beta.ConfigurationSchema>): Promise<void> {
    const { name = '', version = '' } = configuration;
    await this.redis.sadd('configs', name);
    await this.redis.sadd(`configs#${name}`, `${name}:${version}`);
    await this.set(`configs#${name}:${version}`, beta.ConfigurationSchema, configuration);
  }

  /** A machine of `name:version`, with its entry in the set of its state. */
  async putMachine(
    name: string,
    id: string,
    { state = 'idle', history = [], version = 'v1' }: PutMachine = {},
  ): Promise<void> {
    const machine = { configId: `${name}:${version}`, state, history };
    await this.set(`fsm:${name}#${id}`, beta.FiniteStateMachineSchema, machine);
    await this.redis.sadd(`fsm:${name}:state#${state}`, id);
  }

  /** Stores an event as it was sent, without states, and what became of it. */
  async putOutcome(
    name: string,
    id: string,
    event: EventInit,
    outcome: { code: beta.EventOutcome_StatusCode; details?: string },
  ): Promise<void> {
    const sent = { ...event, transition: { event: event.transition?.event ?? '' } };
    await this.set(`events:${name}#${event.eventId}`, beta.EventSchema, sent);
    await this.set(`events:${name}:outcome#${event.eventId}`, beta.EventOutcomeSchema, {
      ...outcome,
      id,
      config: name,
    });
  }

  /** A machine that went through `history`, with an event and an outcome for each of it. */
  async putWholeMachine(name: string, id: string, history: EventInit[]): Promise<void> {
    const state = history.at(-1)?.transition?.to ?? 'idle';
    await this.putMachine(name, id, { state, history });
    for (const event of history) await this.putOutcome(name, id, event, { code: Ok });
  }

  async set(
    key: string,
    schema: Parameters<typeof toBinary>[0],
    init: MessageInitShape<typeof schema>,
  ): Promise<void> {
    await this.redis.set(key, Buffer.from(toBinary(schema, create(schema, init))));
  }
}

export type EventInit = MessageInitShape<typeof beta.EventSchema>;

interface PutMachine {
  state?: string;
  history?: EventInit[];
  version?: string;
}

/** An applied event of a history. */
export function step(i: number, from: string, event: string, to: string, id = `e-${i}`): EventInit {
  return {
    eventId: id,
    timestamp: timeOf(i),
    transition: { from, to, event },
    originator: `sender ${i}`,
    details: `{"step":${i}}`,
  };
}

/** idle -> busy -> idle -> ...: `count` steps whose ids begin with `label`. */
export function rounds(label: string, count: number): EventInit[] {
  return Array.from({ length: count }, (_, i) =>
    i % 2 === 0
      ? step(i, 'idle', 'go', 'busy', `${label}-${i}`)
      : step(i, 'busy', 'rest', 'idle', `${label}-${i}`),
  );
}

const hex = (...lines: string[]) => Buffer.from(lines.join('').replaceAll(' ', ''), 'hex');

const OFF_ON_FLIP = '0a 03 6f6666  12 02 6f6e  1a 04 666c6970';
const TIME = '12 09  08 80e2cfaa06  10 8827';

/** Values as bytes, written by hand from the wire format: a switch `hand:v1`, machine 1, two events. */
export const BY_HAND: Readonly<Record<string, Buffer>> = {
  'configs#hand:v1': hex(
    '0a 03 6f6666  0a 02 6f6e', // states off, on
    `12 0f  ${OFF_ON_FLIP}`, // transitions: flip leads from off to on
    '1a 03 6f6666  22 04 68616e64  2a 02 7631', // starts off; hand, v1
  ),
  'fsm:hand#1': hex(
    '0a 07 68616e643a7631  12 02 6f6e', // hand:v1, on
    `1a 28  0a 03 682d31  ${TIME}`, // history: h-1, 1,700,000,000 s and 5,000 ns
    `1a 0f  ${OFF_ON_FLIP}  22 02 6d65  2a 01 64`, // by me: d
  ),
  'events:hand#h-2': hex(`0a 03 682d32  ${TIME}  1a 06  1a 04 666c6f70  22 02 6d65`), // h-2: flop, by me
  'events:hand:outcome#h-2': hex(
    '08 05', // internal error
    '12 1b  756e6578706563746564206576656e74207472616e736974696f6e', // unexpected event transition
    '1a 01 31  22 04 68616e64', // machine 1, hand
  ),
};
