/** `switchgear fsm`: the commands of state machines, one file for each idea. */
import type { Command } from 'commander';
import { asDoctor } from './doctor.js';
import { addAudit } from './fsm-audit.js';
import { addConfigurationCommands } from './fsm-configurations.js';
import { addCreate } from './fsm-create.js';
import { addEventCommands } from './fsm-events.js';
import { addImport } from './fsm-import.js';
import { addMachineCommands } from './fsm-machines.js';
import { addWatch } from './fsm-watch.js';
import { type Io, leaf } from './invocation.js';

export function addFsm(program: Command, io: Io): void {
  const fsm = program.command('fsm').description('state machines: configurations, machines, events');
  addCreate(fsm, io);
  addEventCommands(fsm, io);
  addMachineCommands(fsm, io);
  addWatch(fsm, io);
  addConfigurationCommands(fsm, io);
  addAudit(fsm, io);
  addImport(fsm, io);
  asDoctor(leaf(fsm, 'doctor', 'show whether state machines are served, and how fast'), io);
}
