/** Where a server is, as people write it: `host:port`, with an IPv6 host in brackets. */

/** Of a server on this machine that was told nothing else. */
export const DEFAULT_ADDRESS = '127.0.0.1:7398';

/** @throws TypeError when it is not `host:port` */
export function checkAddress(address: string): void {
  if (!/^(\[[0-9a-fA-F:]+\]|[^\s:/@?#]+):\d{1,5}$/.test(address))
    throw new TypeError(`"${address}" is not an address; it must be host:port, such as ${DEFAULT_ADDRESS}`);
}

/** Whether what is sent to a host of a URL stays on this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
