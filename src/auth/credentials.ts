/**
 * The `authorization` header: `Basic` and id:secret in base64, which every gRPC client and every browser can
 * send. The one idea: it is read strictly and within bounds, and nothing of it is ever repeated, since
 * anything in it may be a secret.
 */

export interface Credentials {
  readonly id: string;
  readonly secret: string;
}

/** As long as an id of 64 and a secret of 128 characters need. */
const MAX_HEADER_CHARS = 280;

/** What a header says; undefined = it is malformed. */
export function parseBasic(header: string): Credentials | undefined {
  if (header.length > MAX_HEADER_CHARS) return undefined;
  const [, base64] = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(header) ?? [];
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) return undefined;
  const [, id, secret] = /^([A-Za-z0-9_.@-]{1,64}):([!-~]{1,128})$/.exec(bytes.toString('latin1')) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}
