/**
 * What bringing data from go-statemachine takes beside the client: the messages that it stores, and a
 * check of what would be sent by the constraints of the contract, without sending it.
 */
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import { ConfigurationSchema as V1ConfigurationSchema } from '../../gen/switchgear/fsm/v1/fsm_pb.js';
import { ImportFiniteStateMachineRequestSchema } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';

export {
  type Configuration,
  ConfigurationSchema,
  type Event,
  EventOutcome_StatusCode,
  EventOutcomeSchema,
  EventSchema,
  type FiniteStateMachine,
  FiniteStateMachineSchema,
  type Transition,
} from '../../gen/statemachine/v1beta/statemachine_pb.js';

/** A configuration as `createConfiguration` takes it. */
export type ConfigurationInit = MessageInitShape<typeof V1ConfigurationSchema>;
/** A chunk of a machine's past as `importFiniteStateMachine` takes it. */
export type ImportInit = MessageInitShape<typeof ImportFiniteStateMachineRequestSchema>;

/** What the service would find wrong with the form of a configuration; empty = nothing. */
export function complaintsAboutConfiguration(configuration: ConfigurationInit): string[] {
  return complaints(V1ConfigurationSchema, configuration);
}

/** What the service would find wrong with the form of a chunk; empty = nothing. */
export function complaintsAboutImport(request: ImportInit): string[] {
  return complaints(ImportFiniteStateMachineRequestSchema, request);
}

let validator: ReturnType<typeof createValidator> | undefined;

function complaints<D extends DescMessage>(schema: D, init: MessageInitShape<D>): string[] {
  validator ??= createValidator();
  const { kind, violations } = validator.validate(schema, create(schema, init));
  return kind === 'valid' ? [] : (violations ?? []).map((violation) => violation.toString());
}
