/** The event bus on an engine: its handlers, and what is counted of it. */
import { Counter, Gauge } from 'prom-client';
import { BusService } from '../../gen/switchgear/bus/v1/bus_service_pb.js';
import { type BusObserver, busService } from '../bus/service.js';
import type { BusStoreObserver } from '../bus/store.js';
import { bind } from '../call.js';
import type { Place } from './compose.js';
import type { Metrics } from './metrics.js';

export const placeBus: Place = ({ itemStatus, metrics }, engine) => {
  const observer = counters(metrics);
  const store = engine.busStore(observer);
  const description = engine.describe();
  const handlers = busService({
    store,
    statusOf: itemStatus('switchgear.bus'),
    durability: description.durability,
    observer,
  });
  return {
    name: 'bus',
    protoServices: [BusService.typeName],
    bindings: [bind(BusService, handlers)],
    engine: description,
    ping: (signal) => store.ping(signal),
  };
};

function counters({ registry }: Metrics): BusObserver & BusStoreObserver {
  const registers = [registry];
  const written = new Counter({
    name: 'switchgear_bus_events_written_total',
    help: 'Events that writes were answered for, duplicates apart.',
    registers,
  });
  const handedOut = new Counter({
    name: 'switchgear_bus_events_handed_out_total',
    help: 'Events handed out with a lease, each time anew.',
    registers,
  });
  const marks = new Counter({
    name: 'switchgear_bus_marks_total',
    help: 'Marks by what became of them.',
    labelNames: ['result'],
    registers,
  });
  const trimmed = new Counter({
    name: 'switchgear_bus_events_trimmed_unprocessed_total',
    help: 'Events that retention took before a group had processed them, counted when the group comes there.',
    registers,
  });
  const streams = new Gauge({
    name: 'switchgear_bus_process_streams_open',
    help: 'Streams under way that hand out events.',
    registers,
  });
  return {
    onWritten: (count) => written.inc(count),
    onHandedOut: (count) => handedOut.inc(count),
    onMark: (result) => marks.inc({ result }),
    onStream: (change) => streams.inc(change),
    onTrimmedUnprocessed: (count) => trimmed.inc(count),
  };
}
