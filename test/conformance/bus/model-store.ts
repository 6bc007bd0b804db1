/**
 * A bus in memory that is too simple to be wrong: plain lists, one call after another. What it answers is
 * what every store must answer. It is a store itself, so the laws are run against it too, which shows
 * that no law asks for what the others forbid.
 */
import { MAX_GROUPS, MAX_TRIM_EVENTS } from '../../../src/bus/bounds.js';
import {
  DEFAULT_GROUP,
  DEFAULT_GROUP_OF_STREAM,
  type EventStatus,
  eventBytes,
  type Group,
  type GroupSettings,
  type NewEvent,
  type Position,
  type StoredEvent,
  type Stream,
  type StreamSettings,
} from '../../../src/bus/event.js';
import { type BusStore, type BusStoreObserver, NO_OBSERVER } from '../../../src/bus/store.js';
import type {
  ClaimRequest,
  DeadSelection,
  NewGroup,
  NewStream,
  Settlement,
  WriteAnswer,
  WriteOptions,
  WrittenEvent,
} from '../../../src/bus/verbs.js';
import type { Clock } from '../../../src/clock.js';
import { ModelGroup } from './model-group.js';

const GONE = { kind: 'gone' } as const;
const GROUP_NOT_FOUND = { kind: 'group_not_found' } as const;

interface Request {
  requestId: string;
  requestHash: string;
}

class ModelStream {
  stream: Stream;
  readonly request: Request;
  readonly groups = new Map<string, ModelGroup & { request?: Request }>();
  readonly log: StoredEvent[] = [];
  readonly dedupe = new Map<string, { hash: string; seq: number; createTimeMs: number; untilMs: number }>();
  readonly requests = new Map<string, { hash: string; events: WrittenEvent[]; untilMs: number }>();
  firstSeq = 1;
  leases = 0;

  constructor(stream: Stream, request: Request) {
    this.stream = stream;
    this.request = request;
  }

  get lastSeq(): number {
    return this.log.length;
  }

  event(seq: number): StoredEvent | undefined {
    return seq < this.firstSeq ? undefined : this.log[seq - 1];
  }

  get kept(): StoredEvent[] {
    return this.log.slice(this.firstSeq - 1);
  }

  get bytes(): number {
    return this.kept.reduce((sum, event) => sum + eventBytes(event), 0);
  }

  nextLease(): number {
    return ++this.leases;
  }

  seqAt(timeMs: number): number {
    return this.kept.find(({ createTimeMs }) => createTimeMs >= timeMs)?.seq ?? this.lastSeq + 1;
  }

  /** The sequence of a position, or undefined if it is out of range. */
  seqOf(position: Position): number | undefined {
    if (position.kind === 'beginning') return this.firstSeq;
    if (position.kind === 'end') return this.lastSeq + 1;
    if (position.kind === 'time') return this.seqAt(position.timeMs);
    return position.seq >= this.firstSeq && position.seq <= this.lastSeq + 1 ? position.seq : undefined;
  }

  isOver(more: { events: number; bytes: number }): boolean {
    const { maxEvents, maxBytes } = this.stream.settings;
    return (
      (maxEvents > 0 && this.kept.length + more.events > maxEvents) ||
      (maxBytes > 0 && this.bytes + more.bytes > maxBytes)
    );
  }

  write(events: readonly NewEvent[], options: WriteOptions, nowMs: number): WriteAnswer {
    for (const records of [this.dedupe, this.requests])
      for (const [id, { untilMs }] of records) if (untilMs <= nowMs) records.delete(id);
    const request = options.requestId === '' ? undefined : this.requests.get(options.requestId);
    if (request && request.hash !== options.requestHash) return { kind: 'request_id_reused' };
    if (request) return { kind: 'written', events: request.events };
    const ids = new Map(
      [...this.dedupe].map(([id, { hash, seq, createTimeMs }]) => [id, { hash, seq, createTimeMs }]),
    );
    const written: WrittenEvent[] = [];
    const fresh: NewEvent[] = [];
    for (const [index, event] of events.entries()) {
      const known = event.dedupeId === '' ? undefined : ids.get(event.dedupeId);
      if (known && known.hash !== event.bodyHash) return { kind: 'dedupe_id_reused', index };
      const seq = known?.seq ?? this.lastSeq + fresh.length + 1;
      const createTimeMs = known?.createTimeMs ?? nowMs;
      written.push({ seq, createTimeMs, duplicate: known !== undefined });
      if (known) continue;
      fresh.push(event);
      if (event.dedupeId !== '') ids.set(event.dedupeId, { hash: event.bodyHash, seq, createTimeMs });
    }
    if (fresh.length > 0) {
      const { lastSeq } = this;
      if (options.expectedSeq !== undefined && options.expectedSeq !== lastSeq)
        return { kind: 'seq_mismatch', lastSeq };
    }
    let trims = MAX_TRIM_EVENTS;
    const isDropping = this.stream.settings.overflow === 'drop_oldest';
    const bytes = fresh.reduce((sum, event) => sum + eventBytes(event), 0);
    for (; fresh.length > 0 && trims > 0 && this.#isOld(nowMs); trims--) this.firstSeq++;
    if (fresh.length > 0 && !isDropping && this.isOver({ events: fresh.length, bytes }))
      return { kind: 'full' };
    const untilMs = nowMs + this.stream.settings.dedupeWindowMs;
    for (const { dedupeId, bodyHash, ...said } of fresh) {
      const seq = this.lastSeq + 1;
      this.log.push({ seq, createTimeMs: nowMs, ...said });
      if (dedupeId !== '') this.dedupe.set(dedupeId, { hash: bodyHash, seq, createTimeMs: nowMs, untilMs });
    }
    if (options.requestId !== '')
      this.requests.set(options.requestId, { hash: options.requestHash, events: written, untilMs });
    const isTooMuch = () => isDropping && this.kept.length > 0 && this.isOver({ events: 0, bytes: 0 });
    for (; trims > 0 && isTooMuch(); trims--) this.firstSeq++;
    return { kind: 'written', events: written };
  }

  #isOld(nowMs: number): boolean {
    return (this.kept[0]?.createTimeMs ?? nowMs) < nowMs - this.stream.settings.maxAgeMs;
  }
}

export class ModelBusStore implements BusStore {
  readonly #clock: Clock;
  readonly #observer: BusStoreObserver;
  readonly #streams = new Map<number, ModelStream>();
  readonly #looks = new Map<number, Set<() => void>>();
  #numbers = 0;

  constructor(clock: Clock, observer = NO_OBSERVER) {
    this.#clock = clock;
    this.#observer = observer;
  }

  async createStream({ name, uid, settings, requestId, requestHash }: NewStream) {
    const there = this.#named(name);
    if (there) {
      const isRepeat = isSame(there.request, { requestId, requestHash });
      return { kind: isRepeat ? ('replayed' as const) : ('exists' as const), stream: there.stream };
    }
    const number = ++this.#numbers;
    const stream = { number, name, uid, settings, revision: 1, createTimeMs: this.#clock.nowMs() };
    this.#streams.set(number, new ModelStream(stream, { requestId, requestHash }));
    return { kind: 'created' as const, stream };
  }

  async getStream(name: string) {
    return this.#named(name)?.stream;
  }

  async getStreamByNumber(number: number) {
    return this.#streams.get(number)?.stream;
  }

  async updateStream(name: string, settings: StreamSettings, expectedRevision: number | undefined) {
    const there = this.#named(name);
    if (!there) return { kind: 'stream_not_found' as const };
    const { stream } = there;
    if (expectedRevision !== undefined && expectedRevision !== stream.revision)
      return { kind: 'revision_mismatch' as const, stream };
    there.stream = { ...stream, settings, revision: stream.revision + 1 };
    return { kind: 'updated' as const, stream: there.stream };
  }

  async deleteStream(name: string, uid: string | undefined) {
    const there = this.#named(name)?.stream;
    if (!there) return { kind: 'absent' as const };
    if (uid !== undefined && uid !== there.uid) return { kind: 'uid_mismatch' as const, uid: there.uid };
    this.#streams.delete(there.number);
    this.#wake(there.number);
    return { kind: 'deleted' as const };
  }

  async listStreams(after: string | undefined, limit: number) {
    const all = [...this.#streams.values()]
      .map(({ stream }) => stream)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const items = all.filter(({ name }) => after === undefined || name > after).slice(0, limit);
    const last = items.at(-1)?.name;
    return { items, next: last === all.at(-1)?.name ? undefined : last };
  }

  async getStreamFacts(number: number) {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const { stream, firstSeq, lastSeq, bytes } = there;
    const groups = this.#groupsOf(there).map((each) => each.facts(this.#clock.nowMs()));
    return { kind: 'facts' as const, stream, firstSeq, lastSeq, bytes, groups };
  }

  async write(number: number, events: readonly NewEvent[], options: WriteOptions): Promise<WriteAnswer> {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const answer = there.write(events, options, this.#clock.nowMs());
    if (answer.kind === 'written') this.#wake(number);
    return answer;
  }

  async read(number: number, fromSeq: number, { limit, maxBytes }: { limit: number; maxBytes: number }) {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const { firstSeq, lastSeq } = there;
    const events: StoredEvent[] = [];
    let bytes = 0;
    for (const event of there.kept.filter(({ seq }) => seq >= fromSeq).slice(0, limit)) {
      bytes += eventBytes(event);
      if (events.length > 0 && bytes > maxBytes) break;
      events.push(event);
    }
    return { kind: 'events' as const, firstSeq, lastSeq, events };
  }

  async seqAt(number: number, timeMs: number) {
    return this.#streams.get(number)?.seqAt(timeMs) ?? GONE;
  }

  async listEvents(
    number: number,
    group: string,
    status: EventStatus | undefined,
    fromSeq: number,
    limit: number,
  ) {
    return this.#inGroup(
      number,
      group,
      (there, stream) => {
        const nowMs = this.#clock.nowMs();
        const rest = stream.kept
          .filter(({ seq }) => seq >= fromSeq)
          .map((event) => ({
            event,
            status: there.status(event.seq, nowMs),
            attempts: there.attempts(event.seq),
          }))
          .filter((item) => status === undefined || item.status === status);
        return { kind: 'page' as const, items: rest.slice(0, limit), nextSeq: rest[limit]?.event.seq };
      },
      false,
    );
  }

  async createGroup(number: number, { name, start, settings, filter, requestId, requestHash }: NewGroup) {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const known = there.groups.get(name);
    if (known) {
      const isRepeat = isSame(known.request, { requestId, requestHash });
      return { kind: isRepeat ? ('replayed' as const) : ('exists' as const), group: known.group };
    }
    if (there.groups.size >= MAX_GROUPS) return { kind: 'too_many_groups' as const };
    const { firstSeq, lastSeq } = there;
    const cursor = there.seqOf(start);
    if (cursor === undefined) return { kind: 'out_of_range' as const, firstSeq, lastSeq };
    const made = this.#addGroup(there, { name, settings, filter }, cursor);
    made.request = { requestId, requestHash };
    return { kind: 'created' as const, group: made.group };
  }

  async updateGroup(
    number: number,
    name: string,
    settings: GroupSettings,
    expectedRevision: number | undefined,
  ) {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const known = there.groups.get(name);
    if (!known) return GROUP_NOT_FOUND;
    const { group } = known;
    if (expectedRevision !== undefined && expectedRevision !== group.revision)
      return { kind: 'revision_mismatch' as const, group };
    known.group = { ...group, settings, revision: group.revision + 1 };
    return { kind: 'updated' as const, group: known.group };
  }

  async deleteGroup(number: number, name: string) {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const kind = there.groups.delete(name) ? ('deleted' as const) : ('absent' as const);
    if (kind === 'deleted') this.#wake(number);
    return { kind };
  }

  async listGroups(number: number) {
    const there = this.#streams.get(number);
    return there
      ? { kind: 'groups' as const, groups: this.#groupsOf(there).map(({ group }) => group) }
      : GONE;
  }

  async seekGroup(number: number, name: string, to: Position) {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const known = there.groups.get(name);
    if (!known) return GROUP_NOT_FOUND;
    const { firstSeq, lastSeq } = there;
    const cursor = there.seqOf(to);
    if (cursor === undefined) return { kind: 'out_of_range' as const, firstSeq, lastSeq };
    this.#watched(known, () => known.seek(cursor));
    this.#wake(number);
    return { kind: 'sought' as const, group: known.group, cursor };
  }

  async claim(number: number, request: ClaimRequest) {
    return this.#inGroup(number, request.group, (there) => {
      const nowMs = this.#clock.nowMs();
      return { kind: 'claimed' as const, ...there.claim(request, nowMs), nowMs };
    });
  }

  async accept(
    number: number,
    group: string,
    {
      consumer,
      lease,
      ackDeadlineMs,
    }: { consumer: string; lease: number; ackDeadlineMs: number | undefined },
  ) {
    this.#streams.get(number)?.groups.get(group)?.accept(consumer, lease, ackDeadlineMs, this.#clock.nowMs());
  }

  async release(number: number, group: string, consumer: string, claimId: string) {
    this.#streams.get(number)?.groups.get(group)?.release(consumer, claimId, this.#clock.nowMs());
    this.#wake(number);
  }

  async settle(number: number, group: string, marks: readonly Settlement[]) {
    return this.#inGroup(number, group, (there) => {
      const answers = marks.map((each) => there.settle(each, this.#clock.nowMs()));
      this.#wake(number);
      return { kind: 'settled' as const, answers };
    });
  }

  async extend(
    number: number,
    group: string,
    leases: readonly { readonly seq: number; readonly lease: number }[],
    ackDeadlineMs: number | undefined,
  ) {
    return this.#inGroup(number, group, (there) => {
      const nowMs = this.#clock.nowMs();
      const deadlineMs = nowMs + (ackDeadlineMs ?? there.group.settings.ackDeadlineMs);
      const answers = leases.map(({ seq, lease }) => there.extend(seq, lease, deadlineMs, nowMs));
      return { kind: 'extended' as const, answers, deadlineMs };
    });
  }

  async listDead(number: number, group: string, after: string | undefined, limit: number) {
    return this.#inGroup(number, group, ({ dead }) => {
      const from = Number(after ?? 0);
      const next = from + limit < dead.length ? String(from + limit) : undefined;
      return { kind: 'page' as const, items: dead.slice(from, from + limit), next };
    });
  }

  async replayDead(number: number, group: string, which: DeadSelection) {
    return this.#inGroup(number, group, (there) => {
      const count = there.replay(which, this.#clock.nowMs());
      this.#wake(number);
      return { kind: 'step' as const, count, next: undefined };
    });
  }

  async purgeDead(number: number, group: string, which: DeadSelection) {
    return this.#inGroup(number, group, (there) => ({
      kind: 'step' as const,
      count: there.purge(which),
      next: undefined,
    }));
  }

  listen(number: number, look: () => void): () => void {
    const looks = this.#looks.get(number) ?? new Set();
    this.#looks.set(number, looks.add(look));
    return () => void looks.delete(look);
  }

  async ping(): Promise<void> {}

  #named(name: string): ModelStream | undefined {
    return [...this.#streams.values()].find(({ stream }) => stream.name === name);
  }

  #wake(number: number): void {
    for (const look of this.#looks.get(number) ?? []) queueMicrotask(look);
  }

  #groupsOf({ groups }: ModelStream): ModelGroup[] {
    return [...groups.values()].sort((a, b) => (a.group.name < b.group.name ? -1 : 1));
  }

  #addGroup(
    there: ModelStream,
    group: Pick<Group, 'name' | 'settings' | 'filter'>,
    cursor: number,
  ): ModelGroup & { request?: Request } {
    const whole = { ...group, revision: 1, generation: 1, createTimeMs: this.#clock.nowMs() };
    const made = new ModelGroup(whole, cursor, there);
    there.groups.set(group.name, made);
    return made;
  }

  /** The default group comes to exist here, at its first use; to those who only look it is as if it did. */
  #inGroup<T>(
    number: number,
    name: string,
    act: (group: ModelGroup, stream: ModelStream) => T,
    isUse = true,
  ) {
    const there = this.#streams.get(number);
    if (!there) return GONE;
    const group = { name, settings: DEFAULT_GROUP_OF_STREAM, filter: undefined };
    const isNew = name === DEFAULT_GROUP && !there.groups.has(name);
    if (isNew) this.#addGroup(there, group, there.firstSeq);
    const known = there.groups.get(name);
    const answer = known ? this.#watched(known, () => act(known, there)) : GROUP_NOT_FOUND;
    if (isNew && !isUse) there.groups.delete(name);
    return answer;
  }

  /** Tells what the group counts by it. */
  #watched<T>(group: ModelGroup, act: () => T): T {
    const before = group.trimmedUnprocessed;
    const answer = act();
    const count = group.trimmedUnprocessed - before;
    if (count > 0) this.#observer.onTrimmedUnprocessed(count);
    return answer;
  }
}

function isSame(made: Request | undefined, asked: Request): boolean {
  return (
    asked.requestId !== '' && made?.requestId === asked.requestId && made.requestHash === asked.requestHash
  );
}
