/**
 * The rpcs about configurations: proto in, proto out.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type Configuration as ConfigurationMessage,
  ConfigurationSchema,
} from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import * as pb from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import type { Handlers } from '../call.js';
import { Fault } from '../fault.js';
import { cutAtBytes, grantedPage, isCount, isText, pagePosition, pageSize, pageToken } from '../page.js';
import { lint, warnings } from './configuration.js';
import * as messages from './messages.js';
import { configurationNotFound, fsmNotFound, mustGetConfiguration } from './missing.js';
import { renderMermaid } from './render.js';
import type { FsmStore, Retention } from './store.js';

/** How large a configuration may be, encoded. */
export const MAX_CONFIGURATION_BYTES = 1024 * 1024;

/** How many configurations of up to MAX_CONFIGURATION_BYTES are read at a time. */
export const CONFIGURATION_PAGE = 20;

type ConfigurationRpc =
  | 'createConfiguration'
  | 'getConfiguration'
  | 'listConfigurations'
  | 'listConfigurationVersions'
  | 'renderConfiguration'
  | 'setRetention'
  | 'getRetention';

export function configurationRpcs(store: FsmStore): Pick<Handlers<typeof pb.FsmService>, ConfigurationRpc> {
  return {
    async createConfiguration(request, call) {
      const content = messages.contentFrom(request.configuration ?? create(ConfigurationSchema));
      const violations = lint(content).map((v) => ({ ...v, field: `configuration.${v.field}` }));
      if (violations.length > 0)
        throw new Fault('INVALID_FIELD', 'the configuration contradicts itself', { violations });
      checkConfigurationSize(request.configuration);
      const { kind, configuration } = await store.createConfiguration(content, call.signal);
      if (kind === 'differs') throw configurationExists(content);
      return create(pb.CreateConfigurationResponseSchema, {
        configuration: messages.configurationMessage(configuration),
        created: kind === 'created',
        warnings: warnings(content).map(messages.warningMessage),
      });
    },

    async getConfiguration(request, call) {
      const configuration = await mustGetConfiguration(store, request.name, request.version, call);
      return create(pb.GetConfigurationResponseSchema, {
        configuration: messages.configurationMessage(configuration),
      });
    },

    async listConfigurations(request, call) {
      const scope = ['configurations'];
      const after = pagePosition(request.pageToken, scope, isText);
      const limit = pageSize(request.pageSize, 100, 1_000);
      const list = {
        read: (from: string | undefined, count: number) =>
          store.listConfigurationNames(from, count, call.signal),
        nameOf: (name: string) => name,
      };
      const page = await grantedPage(call.access, list, after, limit);
      return create(pb.ListConfigurationsResponseSchema, {
        names: [...page.items],
        nextPageToken: page.next === undefined ? '' : pageToken(scope, page.next),
      });
    },

    async listConfigurationVersions({ name, ...request }, call) {
      const scope = ['versions', name];
      const after = pagePosition(request.pageToken, scope, isCount);
      const limit = pageSize(request.pageSize, CONFIGURATION_PAGE, CONFIGURATION_PAGE);
      const page = await store.listConfigurationVersions(name, after, limit, call.signal);
      if (!page) throw configurationNotFound(name);
      const all = page.items.map(messages.configurationMessage);
      const shown = cutAtBytes(all, configurationBytes);
      const cut = shown.length < all.length;
      const end = cut ? await store.listConfigurationVersions(name, after, shown.length, call.signal) : page;
      return create(pb.ListConfigurationVersionsResponseSchema, {
        configurations: [...shown],
        nextPageToken: end?.next === undefined ? '' : pageToken(scope, end.next),
      });
    },

    async renderConfiguration({ name, version, fsmId }, call) {
      const found = fsmId === '' ? undefined : await store.getMachine(name, fsmId, 0, call.signal);
      if (fsmId !== '' && !found) throw fsmNotFound(name, fsmId);
      const shown = version || (found?.machine.configurationVersion ?? '');
      const configuration = await mustGetConfiguration(store, name, shown, call);
      const current = configuration.version === found?.machine.configurationVersion;
      const mermaid = renderMermaid(configuration, current ? found?.machine.state : undefined);
      return create(pb.RenderConfigurationResponseSchema, { mermaid });
    },

    async setRetention({ configurationName: name, historyMaxCount, expectedRevision }, call) {
      const expected = expectedRevision === undefined ? undefined : Number(expectedRevision);
      const answer = await store.setRetention(name, Number(historyMaxCount), expected, call.signal);
      if (answer.kind === 'configuration_not_found') throw configurationNotFound(name);
      if (answer.kind === 'revision_mismatch')
        throw new Fault(
          'REVISION_MISMATCH',
          'the retention was changed meanwhile; read it and decide again',
          {
            facts: { actual_revision: String(answer.retention.revision) },
          },
        );
      return create(pb.SetRetentionResponseSchema, { retention: retentionMessage(name, answer.retention) });
    },

    async getRetention({ configurationName: name }, call) {
      const retention = await store.getRetention(name, call.signal);
      if (!retention) throw configurationNotFound(name);
      return create(pb.GetRetentionResponseSchema, { retention: retentionMessage(name, retention) });
    },
  };
}

function retentionMessage(configurationName: string, retention: Retention) {
  return {
    configurationName,
    historyMaxCount: BigInt(retention.historyMaxCount),
    revision: BigInt(retention.revision),
  };
}

export function checkConfigurationSize(message: ConfigurationMessage | undefined): void {
  if (message && configurationBytes(message) > MAX_CONFIGURATION_BYTES)
    throw Fault.invalidField('configuration', `is larger than ${MAX_CONFIGURATION_BYTES} bytes encoded`);
}

function configurationBytes(message: ConfigurationMessage): number {
  return toBinary(ConfigurationSchema, message).length;
}

function configurationExists({ name, version }: { name: string; version: string }): Fault {
  return new Fault(
    'CONFIGURATION_EXISTS',
    `${name}:${version} exists with other content; configurations never change, create a new version`,
    { facts: { name, version } },
  );
}
