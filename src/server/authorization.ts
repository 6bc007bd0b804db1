/** The one header that says who calls. */

const NAME = 'authorization';

/**
 * What the header says, by the headers as they came, name and value by turns; undefined = it is not there.
 * Node shows the first of several and hides the others, which whatever stands between may have checked
 * instead. They are joined here as HTTP joins a list, and no credentials have a comma: several are refused.
 */
export function authorizationIn(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== NAME.length || name.toLowerCase() !== NAME) continue;
    const value = rawHeaders[i + 1] as string;
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}
