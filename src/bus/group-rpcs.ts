/**
 * The rpcs about groups: proto in, proto out.
 */
import { create } from '@bufbuild/protobuf';
import * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { isText, pagePosition, pageSize, pageToken } from '../page.js';
import { MAX_GROUPS } from './bounds.js';
import { DEFAULT_GROUP, DEFAULT_GROUP_OF_STREAM, DEFAULT_GROUP_SETTINGS, type Group } from './event.js';
import { found, groupNotFound, mustGetStream, seqOutOfRange } from './missing.js';
import { requestHash } from './request-hash.js';
import { revise } from './revise.js';
import { filterFrom, groupMessage, groupSettingsFrom, positionFrom } from './settings.js';
import type { BusStore } from './store.js';

type GroupRpc = 'createGroup' | 'updateGroup' | 'deleteGroup' | 'listGroups' | 'seekGroup';

export function groupRpcs(store: BusStore): Pick<Handlers<typeof pb.BusService>, GroupRpc> {
  return {
    async createGroup({ stream: name, group, settings: asked, ...request }, call) {
      const base = group === DEFAULT_GROUP ? DEFAULT_GROUP_OF_STREAM : DEFAULT_GROUP_SETTINGS;
      const content = {
        settings: groupSettingsFrom(asked, base),
        filter: filterFrom(request.filter),
        start: request.start ? positionFrom(request.start, 'start') : ({ kind: 'beginning' } as const),
      };
      const { requestId } = request;
      const { number } = await mustGetStream(store, name, call.signal);
      const made = { name: group, ...content, requestId, requestHash: requestHash(Object.values(content)) };
      const answer = found(await store.createGroup(number, made, call.signal), name);
      if (answer.kind === 'exists') throw groupExists(name, group);
      if (answer.kind === 'too_many_groups') throw tooManyGroups();
      if (answer.kind === 'out_of_range') throw seqOutOfRange(answer);
      return create(pb.CreateGroupResponseSchema, { group: groupMessage(answer.group) });
    },

    async updateGroup({ stream: name, group, settings: changes, expectedRevision }, call) {
      const { number } = await mustGetStream(store, name, call.signal);
      const { groups } = found(await store.listGroups(number, call.signal), name);
      const read = groups.find((each) => each.name === group);
      if (!read) throw groupNotFound(name, group);
      const updated = await revise<Group>(read, expectedRevision, async (base, revision) => {
        const settings = groupSettingsFrom(changes, base.settings);
        const answer = await store.updateGroup(number, group, settings, revision, call.signal);
        const { kind, group: current } = found(answer, name, group);
        return { isUpdated: kind === 'updated', current };
      });
      return create(pb.UpdateGroupResponseSchema, { group: groupMessage(updated) });
    },

    async deleteGroup({ stream: name, group }, call) {
      const { number } = await mustGetStream(store, name, call.signal);
      const { kind } = found(await store.deleteGroup(number, group, call.signal), name);
      return create(pb.DeleteGroupResponseSchema, { existed: kind === 'deleted' });
    },

    async listGroups({ stream: name, ...request }, call) {
      const { number } = await mustGetStream(store, name, call.signal);
      const scope = ['groups', number];
      const after = pagePosition(request.pageToken, scope, isText) ?? '';
      const { groups } = found(await store.listGroups(number, call.signal), name);
      const rest = groups.filter((group) => group.name > after).sort((a, b) => (a.name < b.name ? -1 : 1));
      const shown = rest.slice(0, pageSize(request.pageSize, MAX_GROUPS, MAX_GROUPS));
      const last = shown.length < rest.length ? shown.at(-1) : undefined;
      return create(pb.ListGroupsResponseSchema, {
        groups: shown.map(groupMessage),
        nextPageToken: last ? pageToken(scope, last.name) : '',
      });
    },

    async seekGroup({ stream: name, group, to }, call) {
      const position = to && positionFrom(to, 'to');
      if (!position) throw Fault.invalidField('to', 'is required');
      const { number } = await mustGetStream(store, name, call.signal);
      const answer = found(await store.seekGroup(number, group, position, call.signal), name, group);
      if (answer.kind === 'out_of_range') throw seqOutOfRange(answer);
      return create(pb.SeekGroupResponseSchema, {
        group: groupMessage(answer.group),
        cursor: BigInt(answer.cursor),
      });
    },
  };
}

function groupExists(stream: string, group: string): Fault {
  return new Fault('GROUP_EXISTS', 'a group of this name exists; it was left as it is', {
    facts: { stream, group },
  });
}

function tooManyGroups(): Fault {
  return new Fault('TOO_MANY_GROUPS', `a stream has at most ${MAX_GROUPS} groups; delete one first`);
}
