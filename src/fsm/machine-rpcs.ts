/**
 * The rpcs about machines: proto in, proto out.
 */
import { createHash, randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import * as pb from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Call, Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { cutAtBytes, isCount, isText, pagePosition, pageSize, pageToken } from '../page.js';
import { transitionsFrom } from './configuration.js';
import { CONFIGURATION_PAGE } from './configuration-rpcs.js';
import { machineIdFor } from './machine.js';
import * as messages from './messages.js';
import { configurationNotFound, fsmNotFound, mustGetConfiguration } from './missing.js';
import type { FsmStore, HistoryPosition, MachineFilter } from './store.js';

type MachineRpc =
  | 'createFiniteStateMachine'
  | 'getFiniteStateMachine'
  | 'listFiniteStateMachines'
  | 'countByState'
  | 'listTransitions'
  | 'deleteFiniteStateMachine'
  | 'listAllowedEvents'
  | 'auditIndex';

export function machineRpcs(store: FsmStore): Pick<Handlers<typeof pb.FsmService>, MachineRpc> {
  return {
    async createFiniteStateMachine(request, call) {
      const { configurationName, configurationVersion, requestId } = request;
      const configuration = await mustGetConfiguration(store, configurationName, configurationVersion, call);
      const state = request.state || configuration.startingState;
      if (!configuration.states.includes(state))
        throw Fault.invalidField('state', `is not a state of ${configurationName}:${configuration.version}`);
      const answer = await store.createMachine(
        {
          configurationName,
          configurationVersion: configuration.version,
          id: request.fsmId || machineIdFor(configurationName, requestId),
          uid: randomUUID(),
          state,
          requestId,
          requestHash: requestHash(configurationVersion, request.fsmId, request.state),
        },
        call.signal,
      );
      if (answer.kind === 'exists') throw fsmExists(configurationName, answer.machine.id, answer.machine.uid);
      return create(pb.CreateFiniteStateMachineResponseSchema, {
        fsm: messages.machineMessage(answer.machine),
      });
    },

    async getFiniteStateMachine({ configurationName, fsmId, historySize }, call) {
      const found = await store.getMachine(configurationName, fsmId, historySize, call.signal);
      if (!found) throw fsmNotFound(configurationName, fsmId);
      const last = found.history.at(-1);
      const newestFirst = found.history.slice(Math.max(0, found.history.length - historySize)).reverse();
      const shown = historySize === 0 ? [] : cutAtBytes(newestFirst, messages.transitionBytes);
      return create(pb.GetFiniteStateMachineResponseSchema, {
        fsm: messages.machineMessage(found.machine, [...shown].reverse(), last),
      });
    },

    async listFiniteStateMachines({ configurationName, configurationVersion, state, ...request }, call) {
      const filter = await machineFilter(store, configurationName, configurationVersion, state, call);
      const scope = ['fsms', configurationName, configurationVersion, state];
      const after = pagePosition(request.pageToken, scope, isText);
      const limit = pageSize(request.pageSize, 100, 1_000);
      const page = await store.listMachines(configurationName, filter, after, limit, call.signal);
      return create(pb.ListFiniteStateMachinesResponseSchema, {
        fsms: page.items.map((machine) => messages.machineMessage(machine)),
        nextPageToken: page.next === undefined ? '' : pageToken(scope, page.next),
      });
    },

    async countByState({ configurationName: name, configurationVersion: version }, call) {
      const states =
        version === ''
          ? await statesOfAllVersions(store, name, call)
          : (await mustGetConfiguration(store, name, version, call)).states;
      const counts = await store.countByState(name, states, version || undefined, call.signal);
      return create(pb.CountByStateResponseSchema, {
        counts: states.map((state, i) => ({ state, count: BigInt(counts[i] ?? 0) })),
        total: BigInt(counts.reduce((sum, count) => sum + count, 0)),
      });
    },

    async listTransitions({ configurationName: name, fsmId, newestFirst, ...request }, call) {
      const scope = ['transitions', name, fsmId, newestFirst];
      const from = pagePosition(request.pageToken, scope, isHistoryPosition);
      const limit = pageSize(request.pageSize, 100, 1_000);
      const page = await store.listTransitions(name, fsmId, from, newestFirst, limit, call.signal);
      if (page.kind === 'fsm_not_found') throw fsmNotFound(name, fsmId);
      if (page.kind === 'expired')
        throw new Fault('PAGE_TOKEN_EXPIRED', 'what the page token points at is no longer kept; start over');
      const shown = cutAtBytes(page.items, messages.transitionBytes);
      const cutAt = page.items[shown.length];
      const next = cutAt ? { uid: page.uid, version: cutAt.version } : page.next;
      return create(pb.ListTransitionsResponseSchema, {
        transitions: shown.map(messages.transitionMessage),
        nextPageToken: next === undefined ? '' : pageToken(scope, next),
      });
    },

    async deleteFiniteStateMachine({ configurationName, fsmId, uid }, call) {
      const answer = await store.deleteMachine(configurationName, fsmId, uid || undefined, call.signal);
      if (answer.kind === 'uid_mismatch')
        throw new Fault('UID_MISMATCH', 'the machine with this id is another one; nothing was deleted', {
          facts: { actual_uid: answer.uid },
        });
      return create(pb.DeleteFiniteStateMachineResponseSchema, { existed: answer.kind === 'deleted' });
    },

    async listAllowedEvents({ configurationName, fsmId }, call) {
      const found = await store.getMachine(configurationName, fsmId, 0, call.signal);
      if (!found) throw fsmNotFound(configurationName, fsmId);
      const { state, version, configurationVersion } = found.machine;
      const configuration = await mustGetConfiguration(store, configurationName, configurationVersion, call);
      return create(pb.ListAllowedEventsResponseSchema, {
        state,
        version: BigInt(version),
        transitions: transitionsFrom(configuration, state),
      });
    },

    auditIndex: (request, call) => auditIndex(store, request, call),
  };
}

async function* auditIndex(store: FsmStore, request: pb.AuditIndexRequest, call: Call) {
  const name = request.configurationName;
  await mustGetConfiguration(store, name, '', call);
  let differenceCount = 0;
  let scanned = { machinesScanned: 0n, entriesScanned: 0n };
  for await (const progress of store.auditIndex(name, call.signal)) {
    const room = Math.max(0, 1_000 - differenceCount);
    differenceCount += progress.differences.length;
    scanned = {
      machinesScanned: BigInt(progress.machinesScanned),
      entriesScanned: BigInt(progress.entriesScanned),
    };
    const differences = progress.differences.slice(0, room).map(({ id, recordedState, listedState }) => ({
      fsmId: id,
      recordedState: recordedState ?? '',
      listedState: listedState ?? '',
    }));
    yield create(pb.AuditIndexResponseSchema, {
      ...scanned,
      differences,
      differenceCount: BigInt(differenceCount),
    });
  }
  yield create(pb.AuditIndexResponseSchema, {
    ...scanned,
    differenceCount: BigInt(differenceCount),
    done: true,
  });
}

/** The states of every version of a name, each once, in order of first mention. */
async function statesOfAllVersions(store: FsmStore, name: string, call: Call): Promise<string[]> {
  const states = new Set<string>();
  let after: number | undefined;
  do {
    const page = await store.listConfigurationVersions(name, after, CONFIGURATION_PAGE, call.signal);
    if (!page) throw configurationNotFound(name);
    for (const configuration of page.items) for (const state of configuration.states) states.add(state);
    after = page.next;
  } while (after !== undefined);
  return [...states];
}

/** A version without a state means all its states, in an order that stays the same between pages. */
async function machineFilter(
  store: FsmStore,
  name: string,
  version: string,
  state: string,
  call: Call,
): Promise<MachineFilter> {
  const configuration = await mustGetConfiguration(store, name, version, call);
  if (version === '') return state === '' ? {} : { states: [state] };
  return { configurationVersion: version, states: state === '' ? configuration.states : [state] };
}

/** What a create asked for, as asked: "the newest version" stays that, whichever it was at the time. */
function requestHash(configurationVersion: string, fsmId: string, state: string): string {
  const asked = JSON.stringify([configurationVersion, fsmId, state]);
  return createHash('sha256').update(asked).digest('base64url').slice(0, 22);
}

export function fsmExists(configurationName: string, fsmId: string, uid: string): Fault {
  return new Fault('FSM_EXISTS', 'a machine with this id exists; it was left as it is', {
    facts: { configuration_name: configurationName, fsm_id: fsmId, uid },
  });
}

function isHistoryPosition(value: unknown): value is HistoryPosition {
  const position = value as Partial<HistoryPosition> | null;
  return isText(position?.uid) && isCount(position?.version);
}
