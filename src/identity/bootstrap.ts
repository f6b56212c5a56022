/** What must exist before anybody can sign in: an administrator and the key that signs tokens. */
import { randomBytes } from 'node:crypto';
import type { Role } from '../protocol/schemas.ts';
import type { Clients } from './clients.ts';

const ADMINISTRATORS: ReadonlySet<Role> = new Set(['admin', 'root']);

export interface FirstAdmin {
  id: string;
  secret: string;
}

/**
 * Makes sure that there is an administrator. With a configured one its secret is the configured one from now on. Otherwise one is made
 * when there is none at all.
 * @returns what has to be shown once, or null when nothing was made up
 */
export async function ensureAdmin(clients: Clients, configured: FirstAdmin | null): Promise<FirstAdmin | null> {
  if (configured === null) {
    if (clients.list(null).some(({ role }) => role === 'admin' || role === 'root')) return null;
    const { clientId, secret } = await clients.create({ role: 'admin', name: 'first administrator' });
    return { id: clientId, secret };
  }
  const { id, secret } = configured;
  const known = ADMINISTRATORS.has(clients.find(id)?.role ?? 'client') && (await clients.isSecretOf(id, secret));
  if (!known) await clients.create({ role: 'admin', name: 'configured administrator', id, secret });
  return null;
}

/** A new key that signs tokens: 512 random bits in printable form. */
export function makeSigningKey(): Uint8Array {
  return Buffer.from(randomBytes(64).toString('base64url'));
}
