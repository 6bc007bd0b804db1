/** Who is ready, as the server says it: grpc.health.v1, and the release that answers. */
import { type Client, Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { Health, HealthCheckResponse_ServingStatus as Serving } from '../../gen/grpc/health/v1/health_pb.js';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { failing, toSwitchgearError } from './failure.js';
import { type CallControl, callOptions } from './sending.js';

export interface ServiceHealth {
  /** Full name of the service, e.g. `switchgear.fsm.v1.FsmService`; empty = the process as a whole. */
  readonly service: string;
  readonly isServing: boolean;
}

export class HealthClient {
  readonly #health: Client<typeof Health>;
  readonly #beta: Client<typeof StatemachineService>;

  /** @internal use `connect` */
  constructor(transport: Transport) {
    this.#health = createClient(Health, transport);
    this.#beta = createClient(StatemachineService, transport);
  }

  /** True if a service, or the process as a whole, takes calls. @throws ServiceUnknownError */
  async isServing(service = '', control: CallControl = {}): Promise<boolean> {
    const { status } = await failing(this.#health.check({ service }, callOptions(control)));
    return status === Serving.SERVING;
  }

  /** Every service of the process, the process as a whole first. */
  async list(control: CallControl = {}): Promise<ServiceHealth[]> {
    const { statuses } = await failing(this.#health.list({}, callOptions(control)));
    return Object.entries(statuses)
      .map(([service, { status }]) => ({ service, isServing: status === Serving.SERVING }))
      .sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  /** The release of the server; undefined when it serves nothing that tells it. */
  async release(control: CallControl = {}): Promise<string | undefined> {
    try {
      return (await this.#beta.health({}, callOptions(control))).release;
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unimplemented) return undefined;
      throw toSwitchgearError(error);
    }
  }
}
