/** What must exist before anybody can sign in: an administrator and the key that signs tokens. */
import { randomBytes } from 'node:crypto';
import type { Role } from '../../protocol/schemas/role.ts';
import { DEFAULT_TENANT } from '../rights/policy.ts';
import type { Identity } from './identity.ts';

const ADMINISTRATORS: ReadonlySet<Role> = new Set(['admin', 'root']);

export interface FirstAdmin {
  id: string;
  secret: string;
}

/** An administrator who was made, or has another secret. */
export interface AdminChange {
  id: string;
  tenant: string;
  /** What the client was allowed before; undefined: it is new. */
  before: Role | undefined;
  role: Role;
}

/**
 * Makes sure that there is an administrator. With a configured one its secret is the configured one from now on; what it was given for
 * another one before is worthless then, and its role, if it is an administrator's, its tenant and its quota stay. Otherwise one is made
 * when there is none at all.
 * @param show called with one whose secret is made up, before it is kept: a crash in between makes another one, and none whose secret
 * nobody knows
 * @param changed told of the configured one when it is another one than before; the first one of a new server is no change
 */
export async function ensureAdmin(
  identity: Identity,
  configured: FirstAdmin | null,
  show: (admin: FirstAdmin) => void = () => {},
  changed: (change: AdminChange) => Promise<void> = async () => {},
): Promise<void> {
  const { clients, tenants } = identity;
  if (configured === null) {
    if (clients.list(null).some(({ role, tenant }) => ADMINISTRATORS.has(role) && tenants.has(tenant))) return;
    const first = { role: 'admin', name: 'first administrator' } as const;
    await clients.create(first, ({ clientId: id, secret }) => show({ id, secret }));
    return;
  }
  const { id, secret } = configured;
  const known = clients.find(id);
  if (!known || !tenants.has(known.tenant)) {
    const isFirst = clients.list(null).length === 0;
    // In a tenant that is gone it administers nothing.
    await identity.remove({ kind: 'device', id });
    await identity.createClient({ role: 'admin', name: 'configured administrator', id, secret });
    if (!isFirst) await changed({ id, tenant: DEFAULT_TENANT, before: undefined, role: 'admin' });
    return;
  }
  const { tenant, role: before } = known;
  const role = ADMINISTRATORS.has(before) ? before : 'admin';
  if (role === before && (await clients.isSecretOf(id, secret))) return;
  await identity.renewClient(id, role, secret);
  await changed({ id, tenant, before, role });
}

/** A new key that signs tokens: 512 random bits in printable form. */
export function makeSigningKey(): Uint8Array {
  return Buffer.from(randomBytes(64).toString('base64url'));
}
