/**
 * Which server a command goes to: the only one, or in a Cluster the one that holds its slot. The idea
 * to hold: MOVED, ASK, TRYAGAIN and NOSCRIPT are answers to commands that did not run, so these and
 * only these are followed by sending again; anything else is the caller's to judge.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { NotSent, replyCode } from './errors.js';
import { type Address, type Argument, Node, type NodeOptions } from './node.js';
import type { Script } from './scripts.js';
import { SLOT_COUNT } from './slot.js';

/**
 * How often redirections are followed at once; after that with a pause, until the time is up. While a
 * slot with existing keys moves, its scripts are told TRYAGAIN until the last key has moved.
 */
const MAX_QUICK_HOPS = 4;
const HOP_DELAY_MS = 20;
/** The slot table is read again at most this often. */
const REFRESH_INTERVAL_MS = 200;

export type { Argument };

export interface Command {
  readonly slot: number;
  readonly name: string;
  readonly args: readonly Argument[];
  /** For EVALSHA: what to send to a server that does not have it. */
  readonly script?: Script;
}

export class Router {
  readonly isCluster: boolean;
  readonly #options: NodeOptions;
  readonly #seeds: readonly Address[];
  readonly #nodes = new Map<string, Node>();
  /** By slot; without a Cluster all slots are the only node's. */
  readonly #owners: (Node | undefined)[] = new Array(SLOT_COUNT);
  #refreshing: Promise<void> | undefined;
  #refreshedAtMs = 0;
  #closed = false;

  constructor(seeds: readonly Address[], isCluster: boolean, options: NodeOptions) {
    this.#seeds = seeds;
    this.isCluster = isCluster;
    this.#options = options;
  }

  /** Resolves once every slot that has a server is known and that server is connected. */
  async connect(): Promise<void> {
    if (!this.isCluster) {
      const node = this.#node(this.#seeds[0] as Address);
      this.#owners.fill(node);
      return node.connected();
    }
    await this.#firstSeed();
    await this.#readSlots();
    await Promise.all([...new Set(this.#owners)].map((node) => node?.connected()));
  }

  /** One slot of each server that holds any: the way to ask all of them. */
  slotOfEachServer(): number[] {
    const first = new Map<Node, number>();
    this.#owners.forEach((node, slot) => {
      if (node && !first.has(node)) first.set(node, slot);
    });
    return [...first.values()];
  }

  /** Where a server is that is connected, at random so that subscribers spread; else any. */
  anyAddress(): Address | undefined {
    const all = [...this.#nodes.values()];
    const ready = all.filter((node) => node.ready);
    const choice = ready.length > 0 ? ready : all;
    return choice[Math.floor(Math.random() * choice.length)]?.address;
  }

  async send(command: Command): Promise<unknown> {
    const node = this.#ownerOf(command.slot);
    try {
      return await node.send(command.name, command.args, command.script);
    } catch (error) {
      return this.#follow(command, node, error);
    }
  }

  /** Sends a command again for as long as the answers say that it did not run. */
  async #follow(command: Command, refusedBy: Node, refusal: unknown): Promise<unknown> {
    const giveUpAtMs = performance.now() + this.#options.commandTimeoutMs;
    let { name, args } = command;
    let node = refusedBy;
    let error = refusal;
    for (let hop = 1; ; hop++) {
      if (hop > MAX_QUICK_HOPS) await sleep(HOP_DELAY_MS);
      if (performance.now() > giveUpAtMs) throw error;
      const [code, , target] = words(error);
      if (code === 'NOSCRIPT' && command.script) {
        name = 'eval';
        args = [command.script.text, ...command.args.slice(1)];
      } else if (code === 'MOVED') node = await this.#moved(command.slot, addressFrom(target, node.address));
      else if (code === 'ASK') node = await this.#connected(addressFrom(target, node.address));
      else if (code === 'TRYAGAIN') node = this.#ownerOf(command.slot);
      else return this.#giveUp(error);
      try {
        return await (code === 'ASK'
          ? node.sendAsking(name, args, command.script)
          : node.send(name, args, command.script));
      } catch (next) {
        error = next;
      }
    }
  }

  #giveUp(error: unknown): never {
    if (error instanceof NotSent || replyCode(error) === 'CLUSTERDOWN') this.#refreshSoon();
    throw error;
  }

  close(): void {
    this.#closed = true;
    for (const node of this.#nodes.values()) node.close();
  }

  #ownerOf(slot: number): Node {
    const node = this.#owners[slot];
    if (node) return node;
    this.#refreshSoon();
    throw new NotSent(`no server is known for slot ${slot}`);
  }

  /** A server first heard of in a redirection is still connecting: wait for it rather than fail. */
  async #connected(address: Address): Promise<Node> {
    const node = this.#node(address);
    await node.connected().catch((error: Error) => {
      throw new NotSent(error.message);
    });
    return node;
  }

  #moved(slot: number, address: Address): Promise<Node> {
    this.#owners[slot] = this.#node(address);
    this.#refreshSoon();
    return this.#connected(address);
  }

  #node(address: Address): Node {
    const key = `${address.host}:${address.port}`;
    const known = this.#nodes.get(key);
    if (known) return known;
    if (this.#closed) throw new NotSent('closed');
    const node = new Node(address, this.#options);
    this.#nodes.set(key, node);
    if (this.isCluster) node.onClose(() => this.#refreshSoon());
    return node;
  }

  async #firstSeed(): Promise<void> {
    const attempts = this.#seeds.map((seed) => this.#node(seed).connected());
    await Promise.any(attempts).catch((error: AggregateError) => {
      throw error.errors[0];
    });
  }

  /** Reads the slot table in the background, at most once in REFRESH_INTERVAL_MS. */
  #refreshSoon(): void {
    if (!this.isCluster || this.#refreshing || this.#closed) return;
    const waitMs = Math.max(0, this.#refreshedAtMs + REFRESH_INTERVAL_MS - performance.now());
    this.#refreshing = sleep(waitMs, undefined, { ref: false })
      .then(() => this.#readSlots())
      // No server answers: the next command that finds none asks again.
      .catch(() => {})
      .finally(() => {
        this.#refreshing = undefined;
      });
  }

  async #readSlots(): Promise<void> {
    this.#refreshedAtMs = performance.now();
    for (const node of this.#nodes.values()) {
      if (!node.ready) continue;
      const ranges = await node.send('cluster', ['SLOTS']).catch(() => undefined);
      if (!ranges) continue;
      this.#assign(ranges as SlotRange[], node.address);
      return;
    }
    throw new NotSent('no server of the Cluster answers');
  }

  #assign(ranges: readonly SlotRange[], answering: Address): void {
    // A server that does not know its own name leaves it out.
    for (const [first, last, [host, port]] of ranges)
      this.#owners.fill(this.#node({ host: host || answering.host, port }), first, last + 1);
    this.#dropUnused();
  }

  /** Servers that hold no slot are left once nothing is under way on them; seeds stay as entrances. */
  #dropUnused(): void {
    const used = new Set(this.#owners);
    const seeds = new Set(this.#seeds.map(({ host, port }) => `${host}:${port}`));
    for (const [key, node] of this.#nodes) {
      if (used.has(node) || seeds.has(key) || node.inFlight > 0) continue;
      this.#nodes.delete(key);
      node.close();
    }
  }
}

type SlotRange = [first: number, last: number, master: [host: string | null, port: number, id: string]];

function words(error: unknown): string[] {
  return replyCode(error) === undefined ? [] : (error as Error).message.split(' ');
}

/** The target of a redirection; one without a host means the host that answered. */
function addressFrom(target: string | undefined, answering: Address): Address {
  const at = target?.lastIndexOf(':') ?? -1;
  if (!target || at === -1) throw new NotSent('a redirection without a target');
  return { host: target.slice(0, at) || answering.host, port: Number(target.slice(at + 1)) };
}
