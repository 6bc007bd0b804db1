/**
 * `switchgear fsm import`: what go-statemachine keeps in its Redis is brought here, as often as wanted:
 * what is here already is left alone, so a run that was stopped is finished by the next one, and a
 * source that is still in use is caught up with.
 */
import { type Command, Option } from 'commander';
import { EXIT } from './exit.js';
import { Importer } from './fsm-import/importer.js';
import { Report } from './fsm-import/report.js';
import { Source, SourceError, sourceUrl } from './fsm-import/source.js';
import { DryTarget, ServerTarget } from './fsm-import/target.js';
import { type Answer, connected, type Invocation, type Io, leaf } from './invocation.js';

const NOTES = `
Configurations come in the order of their versions, machines with their whole history, and events
that were refused with their outcome; what stays behind is listed with the reason. The source is only
read. Safe to run again. Exit code 4 when anything was left out.

A URL with a password is taken from SWITCHGEAR_IMPORT_FROM only.`;

interface ImportCommandOptions {
  readonly from?: string;
  readonly dryRun?: true;
}

export function addImport(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'import', 'bring configurations, machines and outcomes from go-statemachine')
    .addOption(new Option('--from <url>', 'Redis of go-statemachine, as in redis://host:6379/1'))
    .addOption(new Option('--dry-run', 'read and check everything, and write nothing'))
    .addHelpText('after', NOTES);
  connected(command, io, async (it, options: ImportCommandOptions): Answer => {
    const source = new Source(sourceUrl(options.from, io.env.SWITCHGEAR_IMPORT_FROM));
    try {
      return await bring(it, source, options.dryRun === true);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      it.note(error.message);
      return EXIT.unavailable;
    } finally {
      source.close();
    }
  });
}

async function bring(it: Invocation, source: Source, isDryRun: boolean): Answer {
  await source.connect();
  const report = new Report(isDryRun);
  const target = isDryRun ? new DryTarget() : new ServerTarget(it.switchgear.fsm, it);
  const onProgress = () => it.progress.show(report.text);
  try {
    await new Importer({ source, target, report, signal: it.signal, onProgress }).run();
  } catch (error) {
    it.note(`stopped after ${report.text}; the same command goes on from there`);
    if (it.signal.aborted) return EXIT.interrupted;
    throw error;
  }
  await it.out.record(report.toJson(), report.toFields());
  return report.isComplete ? EXIT.ok : EXIT.conflict;
}
