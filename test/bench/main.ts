/**
 * The figures of every service, each next to what it is compared with in the same run:
 *
 *   npm run bench                 the tables of the README
 *   npm run bench -- bus          of one service (fsm, bus), or what authentication costs (auth)
 *   npm run bench -- --short      shorter turns, for CI
 *
 * Exits with 1 when a figure that is a ratio within the run is below its gate. Everything runs on this
 * machine: driver, servers and Redis share its processors.
 */
import { measureAuth } from './auth.js';
import { measureBus } from './bus.js';
import { measureFsm } from './fsm.js';
import { printTable } from './report.js';
import { startServers } from './servers.js';

const SUITES = { fsm: measureFsm, bus: measureBus, auth: measureAuth };

const asked = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const names = asked.length > 0 ? asked : Object.keys(SUITES);
const conditions = new Set<string>();
for (const name of names) {
  const measure = SUITES[name as keyof typeof SUITES];
  if (!measure) throw new Error(`${name} is none of ${Object.keys(SUITES).join(', ')}`);
  const servers = await startServers();
  conditions.add(`Redis: ${servers.redis.durability}`).add(`LMDB: ${servers.lmdb.durability}`);
  await measure(servers);
  await servers.stop();
}
printTable([...conditions]);
process.exit();
