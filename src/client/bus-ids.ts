/** Which requests of the bus hold an id that gives a second one no effect of its own. */
import { isMessage } from '@bufbuild/protobuf';
import * as pb from '../../gen/switchgear/bus/v1/bus_service_pb.js';

/**
 * True for writes and creations with their id, and for marks with a lease token: when the first took
 * effect its lease has ended, and the second finds it stale. Extending a lease twice extends it once.
 */
export function carriesBusId(message: object): boolean {
  if (isMessage(message, pb.WriteEventRequestSchema)) return Boolean(message.event?.dedupeId);
  if (isMessage(message, pb.WriteEventsRequestSchema)) return message.requestId !== '';
  if (isMessage(message, pb.MarkEventRequestSchema)) return message.leaseToken !== '';
  if (isMessage(message, pb.MarkEventsRequestSchema)) return message.marks.every(carriesBusId);
  if (isMessage(message, pb.CreateStreamRequestSchema)) return message.requestId !== '';
  if (isMessage(message, pb.CreateGroupRequestSchema)) return message.requestId !== '';
  return isMessage(message, pb.ExtendLeasesRequestSchema);
}
