/** Refusals as errors, for callers that treat them so. */
import type { EventOutcome } from '../../gen/switchgear/fsm/v1/fsm_pb.js';

/** An event was answered, and not applied. `outcome.result` says why, with the facts. */
export class EventRefusedError extends Error {
  override readonly name = 'EventRefusedError';
  readonly outcome: EventOutcome;

  constructor(outcome: EventOutcome) {
    super(refusalText(outcome));
    this.outcome = outcome;
  }
}

/** Why an event was not applied, as a sentence. */
export function refusalText({ result, fsmId, configurationName }: EventOutcome): string {
  switch (result.case) {
    case 'eventNotAllowed': {
      const { state, allowedEvents } = result.value;
      const allowed = allowedEvents.length === 0 ? 'nothing' : allowedEvents.join(', ');
      return `not allowed in state ${state}, which allows ${allowed}`;
    }
    case 'fsmNotFound':
      return `there is no machine ${fsmId}`;
    case 'configurationNotFound':
      return `there is no configuration ${configurationName}`;
    case 'versionMismatch':
      return `the machine is at version ${result.value.actualVersion}, in state ${result.value.actualState}`;
    default:
      return 'applied';
  }
}
