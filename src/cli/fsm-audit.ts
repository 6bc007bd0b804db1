/** `switchgear fsm audit`: proves that lists and machines agree, or shows where they do not. */
import type { Command } from 'commander';
import { EXIT } from './exit.js';
import { type Answer, connected, type Io, leaf } from './invocation.js';
import { grouped } from './text.js';

export function addAudit(fsm: Command, io: Io): void {
  const command = leaf(fsm, 'audit', 'compare the lists of a configuration with its machines').argument(
    '<config>',
    'name of the configuration',
  );
  connected(command, io, async (it, config: string): Answer => {
    let [machines, entries, differenceCount] = [0n, 0n, 0n];
    const differences: { fsmId: string; recordedState: string; listedState: string }[] = [];
    for await (const frame of it.switchgear.fsm.auditIndex(config, it)) {
      [machines, entries, differenceCount] = [
        frame.machinesScanned,
        frame.entriesScanned,
        frame.differenceCount,
      ];
      // The service sends at most 1,000 of them.
      for (const { fsmId, recordedState, listedState } of frame.differences)
        differences.push({ fsmId, recordedState, listedState });
      it.progress.show(`${grouped(machines)} machines and ${grouped(entries)} list entries compared`);
    }
    const facts = { machinesScanned: String(machines), entriesScanned: String(entries) };
    await it.out.record({ ...facts, differenceCount: String(differenceCount), differences }, [
      ['machines', grouped(machines)],
      ['list entries', grouped(entries)],
      ['differences', grouped(differenceCount)],
      ...differences.map(
        (each) => ['', `${each.fsmId}: is "${each.recordedState}", listed "${each.listedState}"`] as const,
      ),
    ]);
    return differenceCount === 0n ? EXIT.ok : EXIT.other;
  });
}
