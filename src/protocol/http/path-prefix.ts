/** The path below which a proxy publishes the server, from a setting or a trusted proxy. It is part of links, `Location` and cookies. */

const MAX_LENGTH = 256;
/** Characters that need no escaping in a path (RFC 3986 §3.3), a cookie's path (RFC 6265 §4.1.1), a list of values and a page. */
const SEGMENT = /^(?:[\w.~!$()*+=:@-]|%[0-9a-f]{2})+$/i;

/** True for the empty path, and for a path that starts with a slash and does not end with one: `/drive`, `/team/drive`. */
export function isPrefix(text: string): boolean {
  if (text === '') return true;
  if (text.length > MAX_LENGTH || !text.startsWith('/')) return false;
  return text.slice(1).split('/').every(isSegment);
}

function isSegment(text: string): boolean {
  if (!SEGMENT.test(text)) return false;
  const name = decoded(text);
  // Browsers read `%2e%2e` as `..`, and proxies decode the other characters before they route.
  return name !== null && name !== '.' && name !== '..' && !/[/\\;\p{Cc}]/u.test(name);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
