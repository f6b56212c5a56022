/** Creates identities in a data directory before a server starts on it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openIdentity } from '../../../src/compose/offline-identity.ts';
import type { Identity } from '../../../src/identity/directory/identity.ts';
import type { Role } from '../../../src/protocol/schemas/role.ts';
import { ADMIN, atEnd } from './server.ts';

/** A data directory for `startServer` with the identities that `seed` creates. */
export async function seededFolder<T>(
  t: TestContext,
  seed: (identity: Identity) => Promise<T>,
): Promise<{ dataDir: string; seeded: T }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'lading-test-'));
  atEnd(t, () => rm(dataDir, { recursive: true, force: true }));
  return { dataDir, seeded: await withIdentity(dataDir, seed) };
}

/** Opens the identities of a data directory that no server uses. */
export async function withIdentity<T>(dataDir: string, work: (identity: Identity) => Promise<T>): Promise<T> {
  const opened = await openIdentity({ dataDir, refreshDays: 30 }, { make: true });
  assert.ok(opened);
  try {
    return await work(opened.identity);
  } finally {
    await opened.close();
  }
}

/** Creates a person without a password; returns the id. */
export async function addPerson(identity: Identity, email: string, role: Role = 'client', tenant = 'default') {
  const person = { tenant, role, email, name: 'Ada', surname: 'Byron', password: null };
  return (await identity.people.create(person)).id;
}

/** A data directory whose administrator has the role root. */
export async function rootFolder(t: TestContext): Promise<string> {
  const root = { id: ADMIN.id, secret: ADMIN.secret, role: 'root', name: null } as const;
  return (await seededFolder(t, (identity) => identity.clients.create(root))).dataDir;
}
