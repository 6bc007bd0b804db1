/** `switchgear bus`: the commands of the event bus, one file for each idea. */
import type { Command } from 'commander';
import { addDeadLetters } from './bus-dead-letters.js';
import { addEventCommands } from './bus-events.js';
import { addGroupCommands } from './bus-groups.js';
import { addMark } from './bus-mark.js';
import { addProcess, addRetry } from './bus-process.js';
import { addStreamCommands } from './bus-streams.js';
import { addWrite } from './bus-write.js';
import { asDoctor } from './doctor.js';
import { type Io, leaf } from './invocation.js';

export function addBus(program: Command, io: Io): void {
  const bus = program.command('bus').description('event bus: streams, events, groups of workers');
  addStreamCommands(bus, io);
  addWrite(bus, io);
  addEventCommands(bus, io);
  addProcess(bus, io);
  addRetry(bus, io);
  addMark(bus, io);
  addDeadLetters(bus, io);
  addGroupCommands(bus, io);
  asDoctor(leaf(bus, 'doctor', 'show whether the bus is served, and how fast'), io);
}
