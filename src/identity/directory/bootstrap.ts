/** Creates what the first sign-in needs: an administrator and the key that signs tokens. */
import { randomBytes } from 'node:crypto';
import type { Role } from '../../protocol/schemas/role.ts';
import { DEFAULT_TENANT } from '../rights/policy.ts';
import type { Identity } from './identity.ts';

const ADMINISTRATORS: ReadonlySet<Role> = new Set(['admin', 'root']);

/** Id and secret of an administrator. */
export interface FirstAdmin {
  id: string;
  secret: string;
}

/** An administrator that was created or got a new secret. */
export interface AdminChange {
  id: string;
  tenant: string;
  /** The previous role; undefined for a new administrator. */
  before: Role | undefined;
  role: Role;
}

/**
 * Ensures that an administrator exists. A configured administrator gets the configured secret; if that changes it, its earlier tokens become
 * invalid. Its role (if it is an administrator's), tenant and quota stay. Without a configured one, the server creates the first
 * administrator if no administrator exists.
 * @param show receives a generated administrator before it is stored: after a crash in between, the next start creates another one
 * @param changed called when the configured administrator was created or changed, but not on the first start of a server
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
    // An administrator of a deleted tenant is useless: replace it.
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

/** Generates a key that signs tokens: 512 random bits in printable form. */
export function makeSigningKey(): Uint8Array {
  return Buffer.from(randomBytes(64).toString('base64url'));
}
