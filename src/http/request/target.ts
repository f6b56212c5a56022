/** The method, the host and the path of a request. */

/** Methods that change nothing (RFC 9110 §9.2.1). */
export const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2), never empty. */
const HOST = /^(?:\[[\w.:~-]+\]|[\w.~%!$&'()*+,;=-]+)(?::(\d*))?$/;
/** Room for the longest host name (RFC 1035 §2.3.4) and a port. */
const MAX_HOST = 300;
const MAX_PORT = 65_535;

/** True for a valid value of `Host`: a name or an address, and optionally a port. */
export function isHost(text: string): boolean {
  if (text.length > MAX_HOST) return false;
  const [found, port = ''] = HOST.exec(text) ?? [];
  return found !== undefined && Number(port) <= MAX_PORT;
}

/** The request target without its query, which may contain secrets. */
export function pathOf(url: string | undefined): string {
  const target = url ?? '';
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}
