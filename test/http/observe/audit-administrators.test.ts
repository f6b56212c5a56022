/** Administrators that a setting creates are in the audit log like all others. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AuditPage } from '../../../src/contracts/audit-log.ts';
import { signIn } from '../../support/product/server.ts';
import { startServerProcess, temporaryFolder } from '../../support/servers/processes.ts';

test('the audit log records an administrator that a setting creates or gives another secret or role', async (t) => {
  const dataDir = join(await temporaryFolder(t), 'data');
  const settings = { LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_ATTEMPTS: '1' };
  const secretOf = (n: number): string => `the-secret-${n}-of-an-administrator`;
  /** Runs the server with this administrator and returns the entries of its start, newest first. */
  const noted = async (id: string, n: number, then?: (origin: string, token: string) => Promise<void>) => {
    const admin = { LADING_ADMIN_ID: id, LADING_ADMIN_SECRET: secretOf(n) };
    const { port, kill } = await startServerProcess(t, dataDir, 0, { ...settings, ...admin });
    const origin = `http://127.0.0.1:${port}`;
    const { access_token: token } = await signIn(origin, id, secretOf(n));
    const reply = await fetch(`${origin}/api/audit`, { headers: { authorization: `Bearer ${token}` } });
    const { entries } = (await reply.json()) as AuditPage;
    await then?.(origin, token);
    await kill();
    return entries
      .filter(({ action }) => action === 'client_created' || action === 'client_renewed')
      .map(({ action, target, detail, tenant }) => [action, target, detail, tenant].join(' '));
  };
  let device = '';
  const first = await noted('boss', 1, async (origin, token) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const post = (path: string, body: object) =>
      fetch(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    // A webhook that is subscribed to the event and does not answer.
    await post('/api/deliveries/targets', {
      kind: 'webhook',
      name: 'hook',
      url: 'http://127.0.0.1:9/',
      events: ['admin.changed'],
    });
    device = ((await (await post('/api/clients', { role: 'client' })).json()) as { client_id: string }).client_id;
  });
  assert.deepEqual(first, [], 'the first one of a new server is no change');
  const enrolled = `client_created ${device} role: none → client default`;
  const renewed = 'client_renewed boss LADING_ADMIN_SECRET: secret: old → new default';
  const promoted = `client_renewed ${device} LADING_ADMIN_SECRET: role: client → admin; secret: old → new default`;
  const made = 'client_created chief LADING_ADMIN_SECRET: role: none → admin; secret: none → new default';
  assert.deepEqual(await noted('boss', 2), [renewed, enrolled]);
  assert.deepEqual(await noted('boss', 2), [renewed, enrolled], 'the same again is no change');
  assert.deepEqual(await noted(device, 3), [promoted, renewed, enrolled]);
  assert.deepEqual(await noted('chief', 4), [made, promoted, renewed, enrolled]);
});
