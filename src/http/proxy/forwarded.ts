/** Parses `Forwarded` (RFC 7239 §4), a list with one element for each proxy. */

/** What a proxy reports about the request that it received. */
export interface Element {
  for?: string;
  proto?: string;
  host?: string;
}

const MAX_ELEMENTS = 32;

/**
 * The last elements of a field, that of the outermost proxy first. Text that does not match the grammar is ignored.
 *
 *     for=192.0.2.60;proto=https, for="[2001:db8::17]:47"   →   [{ for: '192.0.2.60', proto: 'https' }, { for: '[2001:db8::17]:47' }]
 */
export function parseForwarded(field: string): Element[] {
  const elements: Element[] = [];
  let element: Element = {};
  let start = 0;
  /** Reads the pair from `start` to `end`. */
  const pair = (end: number): void => {
    const text = field.slice(start, end);
    const equals = text.indexOf('=');
    const name = text.slice(0, Math.max(0, equals)).trim().toLowerCase();
    if (name === 'for' || name === 'proto' || name === 'host') element[name] ??= unquoted(text.slice(equals + 1));
  };
  let quoted = false;
  for (let at = 0; at < field.length; at += 1) {
    const character = field[at];
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === ';' || character === ',') {
      pair(at);
      start = at + 1;
      if (character === ',') {
        elements.push(element);
        element = {};
      }
    }
  }
  pair(field.length);
  elements.push(element);
  return elements.slice(-MAX_ELEMENTS);
}

/** A token, or the contents of a quoted string. */
function unquoted(text: string): string {
  const value = text.trim();
  if (!value.startsWith('"')) return value;
  return value.slice(1, value.endsWith('"') && value.length > 1 ? -1 : undefined).replaceAll(/\\(.)/g, '$1');
}
