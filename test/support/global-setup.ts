/** Once a run: the product is built and the shared engines are found or started; at the end they stop. */
import type { TestProject } from 'vitest/node';
import { startEngines } from './backends.js';
import { buildProduct } from './build.js';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [buildFailure, { engines, stop }] = await Promise.all([buildProduct(), startEngines()]);
  project.provide('buildFailure', buildFailure);
  project.provide('engines', engines);
  return stop;
}
