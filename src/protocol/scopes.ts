/**
 * What a credential may do. A scope names a kind of thing and what may be done to it; `read` and `write` are short for two of files.
 * Whoever may read and write files may also have codes spoken, for which `calls` alone is enough.
 */
import { LadingError } from '../errors.ts';

export const SCOPES = [
  'files:read',
  'files:write',
  'files:delete',
  'clients:admin',
  'tokens:admin',
  'users:admin',
  'calls',
] as const;
export type Scope = (typeof SCOPES)[number];

/** Neither includes deleting: a program that only stores files must not be able to remove them. */
const SHORT: ReadonlyMap<string, readonly Scope[]> = new Map<string, readonly Scope[]>([
  ['read', ['files:read']],
  ['write', ['files:write']],
]);

function isScope(word: string): word is Scope {
  return (SCOPES as readonly string[]).includes(word);
}

/**
 * Scopes from what a client asked for: words, or one text of words with spaces between (RFC 6749 §3.3). In the order of `SCOPES`,
 * none twice.
 * @throws LadingError `validation_failed` that names the word that is no scope
 */
export function parseScopes(asked: string | readonly string[]): Scope[] {
  const words = typeof asked === 'string' ? asked.split(/ +/).filter((word) => word !== '') : asked;
  const found = new Set<Scope>();
  for (const word of words) {
    const meant = SHORT.get(word) ?? (isScope(word) ? [word] : null);
    if (meant === null) {
      const known = [...SHORT.keys(), ...SCOPES].join(', ');
      throw new LadingError(
        'validation_failed',
        `${JSON.stringify(word.slice(0, 40))} is no scope; there are ${known}.`,
      );
    }
    for (const scope of meant) found.add(scope);
  }
  return SCOPES.filter((scope) => found.has(scope));
}
