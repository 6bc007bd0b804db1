/** Messages of the API as JSON, in the names that the HTTP port and every other protobuf library use. */
import { createRegistry, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { file_switchgear_bus_v1_bus } from '../../gen/switchgear/bus/v1/bus_pb.js';
import { file_switchgear_bus_v1_bus_service } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { file_switchgear_fsm_v1_fsm } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import { file_switchgear_fsm_v1_fsm_service } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';

const registry = createRegistry(
  file_switchgear_fsm_v1_fsm,
  file_switchgear_fsm_v1_fsm_service,
  file_switchgear_bus_v1_bus,
  file_switchgear_bus_v1_bus_service,
);

/**
 * A message as a JSON value: names in lowerCamelCase, int64 as text, times as RFC 3339. Fields that hold
 * their default are there too, so that scripts need not know it.
 * @throws TypeError for a message that is not of this API
 */
export function messageToJson(message: Message): JsonValue {
  const schema = registry.getMessage(message.$typeName);
  if (!schema) throw new TypeError(`${message.$typeName} is not a message of this API`);
  return toJson(schema, message, { alwaysEmitImplicit: true, registry });
}
