/** What a request is for: the host and the path that it names. */

/** `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2), never empty. */
const HOST = /^(?:\[[\w.:~-]+\]|[\w.~%!$&'()*+,;=-]+)(?::(\d*))?$/;
/** The longest host name (RFC 1035 §2.3.4) and a port fit. */
const MAX_HOST = 300;
const MAX_PORT = 65_535;

/** True for a valid value of `Host`: a name or an address, and a port if need be. */
export function isHost(text: string): boolean {
  if (text.length > MAX_HOST) return false;
  const [found, port = ''] = HOST.exec(text) ?? [];
  return found !== undefined && Number(port) <= MAX_PORT;
}

/** The request target without its query, which may hold secrets. */
export function pathOf(url: string | undefined): string {
  const target = url ?? '';
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}
