/** What a client would rather read (RFC 9110 §12.5.1). */

interface Match {
  /** 2: named, 1: its type, 0: anything, -1: not at all. */
  depth: number;
  q: number;
}

/** True when text/plain is wanted more than application/json, by its weight or, with the same, by being named more closely. */
export function prefersText(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const text = matchOf(accept, 'text', 'plain');
  const json = matchOf(accept, 'application', 'json');
  return text.q > json.q || (text.q === json.q && text.q > 0 && text.depth > json.depth);
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
