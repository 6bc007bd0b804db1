/**
 * Many events from a file or a pipe: read as they come, sent over event streams, answered in their
 * order. One that is refused or fails does not stop the others; the exit code is that of the worst.
 */
import type { SendInit, SentEvent } from '../client/index.js';
import { EXIT, type ExitCode, exitOfOutcome, explain, OutputClosed } from './exit.js';
import { sentEvents } from './fsm-views.js';
import { readDocuments } from './input.js';
import type { Answer, Invocation } from './invocation.js';
import { readEvent } from './manifests.js';
import { grouped } from './text.js';

/** Exit codes from the one that matters most. */
const WORST_FIRST: readonly ExitCode[] = [
  EXIT.auth,
  EXIT.unavailable,
  EXIT.other,
  EXIT.usage,
  EXIT.notFound,
  EXIT.conflict,
  EXIT.ok,
];

/** Sends every event of `file`; `config` is where those go that name no configuration. */
export async function sendFile(it: Invocation, file: string, config: string | undefined): Answer {
  const tally = new Tally();
  const sent = it.switchgear.fsm.sendAll(eventsOf(it, file, config), it);
  async function* counted(): AsyncGenerator<SentEvent> {
    for await (const each of sent) {
      tally.add(each, it.address);
      it.progress.show(tally.text);
      yield each;
    }
  }
  try {
    await it.out.rows(counted(), sentEvents);
  } catch (error) {
    it.note(`stopped after ${tally.text}`);
    if (!(error instanceof OutputClosed)) throw error;
    // Whoever closed the output may not know that events were left unsent.
    return EXIT.other;
  }
  if (tally.exitCode !== EXIT.ok) it.note(tally.text);
  return tally.exitCode;
}

async function* eventsOf(it: Invocation, file: string, config?: string): AsyncGenerator<SendInit> {
  for await (const document of readDocuments(file, it.stdin)) yield readEvent(document, config);
}

class Tally {
  #events = 0;
  #applied = 0;
  #failed = 0;
  exitCode: ExitCode = EXIT.ok;

  add({ result }: SentEvent, address: string): void {
    this.#events += 1;
    const code =
      'outcome' in result ? exitOfOutcome(result.outcome) : explain(result.error, address).exitCode;
    if (code === EXIT.ok) this.#applied += 1;
    if ('error' in result) this.#failed += 1;
    if (WORST_FIRST.indexOf(code) < WORST_FIRST.indexOf(this.exitCode)) this.exitCode = code;
  }

  get text(): string {
    const refused = this.#events - this.#applied - this.#failed;
    const counts = [`${grouped(this.#applied)} applied`, `${grouped(refused)} refused`];
    if (this.#failed > 0) counts.push(`${grouped(this.#failed)} failed`);
    return `${grouped(this.#events)} events: ${counts.join(', ')}`;
  }
}
