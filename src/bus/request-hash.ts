/** What tells a repeated create from another one with the same request id. */
import { hash } from 'node:crypto';

export function requestHash(asked: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(asked), 'base64url').slice(0, 22);
}
