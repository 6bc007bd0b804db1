/** The state machines on an engine: their handlers, and what is counted of them. */
import { Counter } from 'prom-client';
import { StatemachineService } from '../../gen/statemachine/v1beta/statemachine_pb.js';
import { FsmService } from '../../gen/switchgear/fsm/v1/fsm_service_pb.js';
import { bind } from '../call.js';
import { systemClock } from '../clock.js';
import { fsmService } from '../fsm/service.js';
import { v1betaService } from '../fsm/v1beta.js';
import type { Place } from './compose.js';
import type { Metrics } from './metrics.js';

export const placeFsm: Place = ({ config, validate, itemStatus, release, metrics }, engine, record) => {
  const store = engine.fsmStore({
    shardCount: record.shardCounts.fsm ?? 1,
    outcomeRetentionMs: config.fsmOutcomeRetentionMs,
  });
  const outcomes = outcomeCounter(metrics);
  const onOutcome = (outcome: string) => outcomes.inc({ outcome });
  const statusOf = itemStatus('switchgear.fsm');
  const events = { store, clock: systemClock, validate, statusOf, onOutcome };
  return {
    name: 'fsm',
    protoServices: [FsmService.typeName, StatemachineService.typeName],
    bindings: [
      bind(FsmService, fsmService(events)),
      bind(
        StatemachineService,
        v1betaService({ ...events, release, tlsEnabled: config.tlsCertFile !== undefined }),
      ),
    ],
    engine: engine.describe(),
    ping: (signal) => store.ping(signal),
  };
};

function outcomeCounter({ registry }: Metrics): Counter<'outcome'> {
  return new Counter({
    name: 'switchgear_fsm_events_total',
    help: 'Events by what became of them, replays included.',
    labelNames: ['outcome'],
    registers: [registry],
  });
}
