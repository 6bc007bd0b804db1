/** What is there before a turn begins. */
import { createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { concurrently } from '../support/waiting.js';
import { fsmId, NAME } from './requests.js';
import type { Measurable } from './servers.js';

/** Lays down the configuration and machines `first` to `first + count - 1`. */
export async function seed(server: Measurable, count: number, first = 0): Promise<void> {
  const { address, authorization } = server;
  const interceptors = authorization ? [withHeader('authorization', authorization)] : [];
  const fsm = createClient(FsmService, createGrpcTransport({ baseUrl: `http://${address}`, interceptors }));
  const transitions = [
    { from: 'off', to: 'on', event: 'toggle' },
    { from: 'on', to: 'off', event: 'toggle' },
  ];
  const configuration = {
    name: NAME,
    version: 'v1',
    states: ['off', 'on'],
    startingState: 'off',
    transitions,
  };
  await fsm.createConfiguration({ configuration });
  await concurrently(count, 200, (i) =>
    fsm.createFiniteStateMachine({ configurationName: NAME, fsmId: fsmId(first + i) }),
  );
}

function withHeader(name: string, value: string): Interceptor {
  return (next) => (request) => {
    request.header.set(name, value);
    return next(request);
  };
}
