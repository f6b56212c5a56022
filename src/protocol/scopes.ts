/**
 * Scopes: what a credential may do. A scope names a kind of resource and an action on it; `read` and `write` are short for
 * `files:read` and `files:write`. Requesting calls needs `calls`, or both of these.
 */
import { LadingError } from '../errors.ts';

/** All scopes, in the order in which replies list them. */
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
export function parseScopes(requested: string | readonly string[]): Scope[] {
  const words = typeof requested === 'string' ? requested.split(/ +/).filter((word) => word !== '') : requested;
  const found = new Set<Scope>();
  for (const word of words) {
    const scopes = SHORT.get(word) ?? (isScope(word) ? [word] : null);
    if (scopes === null) {
      const known = [...SHORT.keys(), ...SCOPES].join(', ');
      throw new LadingError('validation_failed', `${JSON.stringify(word.slice(0, 40))} is not a scope. Use ${known}.`);
    }
    for (const scope of scopes) found.add(scope);
  }
  return SCOPES.filter((scope) => found.has(scope));
}
