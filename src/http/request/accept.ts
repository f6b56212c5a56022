/** Content negotiation: the type that a client prefers (RFC 9110 §12.5.1). */

interface Match {
  /** How specific the matching range is. 2: `type/subtype`, 1: `type/*`, 0: a full wildcard, -1: no range matches. */
  depth: number;
  q: number;
}

/** True when text/plain is preferred to application/json: by its weight or, if equal, by the more specific range. */
export function prefersText(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const text = matchOf(accept, 'text', 'plain');
  const json = matchOf(accept, 'application', 'json');
  return text.q > json.q || (text.q === json.q && text.q > 0 && text.depth > json.depth);
}

/** True for a client that names application/json and does not prefer HTML. */
export function asksForJson(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const json = matchOf(accept, 'application', 'json');
  return json.depth === 2 && json.q > 0 && json.q >= matchOf(accept, 'text', 'html').q;
}

/** True for a browser that navigates: it names text/html, and does not ask for JSON. */
export function prefersHtml(accept: string | undefined): boolean {
  if (accept === undefined || asksForJson(accept)) return false;
  const html = matchOf(accept, 'text', 'html');
  return html.depth === 2 && html.q > 0;
}

/** True for a client that names application/x-ndjson and does not prefer application/json. */
export function prefersLines(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const lines = matchOf(accept, 'application', 'x-ndjson');
  return lines.depth === 2 && lines.q > 0 && lines.q >= matchOf(accept, 'application', 'json').q;
}

function matchOf(accept: string, type: string, subtype: string): Match {
  const names = ['*/*', `${type}/*`, `${type}/${subtype}`];
  let best: Match = { depth: -1, q: 0 };
  for (const range of accept.toLowerCase().split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim());
    const depth = names.indexOf(name);
    if (depth <= best.depth) continue;
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
    const q = Number(weight);
    best = { depth, q: q >= 0 && q <= 1 ? q : 0 };
  }
  return best;
}

/**
 * Chooses the content coding of the answer (RFC 9110 §12.5.3): the one with the highest weight, or the first of several with this weight.
 * @param offered names of codings, the best first
 * @returns null for no coding (`identity`)
 */
export function acceptedCoding(accept: string | string[] | undefined, offered: readonly string[]): string | null {
  if (accept === undefined) return null;
  const weights = new Map<string, number>();
  for (const item of String(accept).toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    const q = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1');
    weights.set(name === 'x-gzip' ? 'gzip' : name, q >= 0 && q <= 1 ? q : 0);
  }
  const weightOf = (coding: string): number => weights.get(coding) ?? weights.get('*') ?? 0;
  let best: string | null = null;
  // A client that gives identity a higher weight prefers no coding.
  let highest = Math.max(weights.get('identity') ?? 0, Number.MIN_VALUE);
  for (const coding of offered) {
    const q = weightOf(coding);
    if (q < highest || (q === highest && best !== null)) continue;
    best = coding;
    highest = q;
  }
  return best;
}
