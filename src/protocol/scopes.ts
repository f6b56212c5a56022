/**
 * What a credential may do. A scope names a kind of thing and an action on it; `read` and `write` are short for two scopes of files.
 * A credential that may read and write files may also request calls; `calls` alone is enough for that too.
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

/** Neither includes deletion: a program that only stores files must not be able to delete them. */
const SHORT: ReadonlyMap<string, readonly Scope[]> = new Map<string, readonly Scope[]>([
  ['read', ['files:read']],
  ['write', ['files:write']],
]);

function isScope(word: string): word is Scope {
  return (SCOPES as readonly string[]).includes(word);
}

/**
 * Parses requested scopes: an array, or one string with spaces between them (RFC 6749 §3.3). The result has the order of `SCOPES` and
 * no duplicates.
 * @throws LadingError `validation_failed` that names the unknown scope
 */
export function parseScopes(asked: string | readonly string[]): Scope[] {
  const words = typeof asked === 'string' ? asked.split(/ +/).filter((word) => word !== '') : asked;
  const found = new Set<Scope>();
  for (const word of words) {
    const meant = SHORT.get(word) ?? (isScope(word) ? [word] : null);
    if (meant === null) {
      const known = [...SHORT.keys(), ...SCOPES].join(', ');
      throw new LadingError('validation_failed', `${JSON.stringify(word.slice(0, 40))} is not a scope. Use ${known}.`);
    }
    for (const scope of meant) found.add(scope);
  }
  return SCOPES.filter((scope) => found.has(scope));
}
