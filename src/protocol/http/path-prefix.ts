/** The path of a proxy below which the server is, as a setting or a trusted proxy says it. It goes into links, `Location` and cookies. */

const LONGEST = 256;
/** What a path (RFC 3986 §3.3), a cookie's path (RFC 6265 §4.1.1), a list of values and a page all take as it is. */
const SEGMENT = /^(?:[\w.~!$()*+=:@-]|%[0-9a-f]{2})+$/i;

/** True for no path at all, and for one with a slash at its beginning and none at its end: `/drive`, `/team/drive`. */
export function isPrefix(text: string): boolean {
  if (text === '') return true;
  if (text.length > LONGEST || !text.startsWith('/')) return false;
  return text.slice(1).split('/').every(isSegment);
}

function isSegment(text: string): boolean {
  if (!SEGMENT.test(text)) return false;
  const name = decoded(text);
  // Browsers take `%2e%2e` for `..`, and proxies decode the others before they look for a place.
  return name !== null && name !== '.' && name !== '..' && !/[/\\;\p{Cc}]/u.test(name);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
