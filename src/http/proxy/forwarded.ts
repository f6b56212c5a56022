/** `Forwarded` (RFC 7239 §4): a list of elements, one of each proxy, in one pass over the text. */

/** What a proxy says of the request that it got. */
export interface Element {
  for?: string;
  proto?: string;
  host?: string;
}

const MAX_ELEMENTS = 32;

/**
 * The last elements of a field, the outermost proxy first. What does not follow the grammar is passed over.
 *
 *     for=192.0.2.60;proto=https, for="[2001:db8::17]:47"   →   [{ for: '192.0.2.60', proto: 'https' }, { for: '[2001:db8::17]:47' }]
 */
export function parseForwarded(field: string): Element[] {
  const elements: Element[] = [];
  let element: Element = {};
  let start = 0;
  /** Ends a pair that goes from `start` to here. */
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

/** A token, or a text in quotes without them. */
function unquoted(text: string): string {
  const value = text.trim();
  if (!value.startsWith('"')) return value;
  return value.slice(1, value.endsWith('"') && value.length > 1 ? -1 : undefined).replaceAll(/\\(.)/g, '$1');
}
