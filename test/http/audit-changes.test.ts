/** The audit log says from what to what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditPage } from '../../src/protocol/audit-schemas.ts';
import { ask, login, NEW_PASSWORD, PASSWORD, register } from '../support/people.ts';
import { startServer } from '../support/server.ts';

test('changes of clients, people and quotas stand in the audit log, from what to what', async (t) => {
  const { origin, admin, client } = await startServer(t, { LADING_REGISTRATION: 'open' });
  const { person } = await register(origin);
  const change = async (path: string, body: object, headers: Record<string, string>): Promise<void> => {
    const reply = await ask(origin, path, { method: 'PUT', body, headers });
    assert.equal(reply.status, 200, await reply.text());
  };
  const steps: [path: string, body: object, detail: string][] = [
    [`/api/clients/${client.id}`, { role: 'ops', name: 'gate' }, 'role: client → ops; name: none → gate'],
    [`/api/clients/${client.id}`, { disabled: true }, 'disabled: false → true'],
    [`/v1/user/update_user?pk=${person.id}`, { role: 'ops', name: 'Ann' }, 'role: client → ops; name: Anna → Ann'],
    [`/api/quotas/client/${client.id}`, { bytes: 5000 }, 'bytes: 0 → 5000'],
    [`/api/quotas/client/${client.id}`, { bytes: 6000 }, 'bytes: 5000 → 6000'],
  ];
  for (const [path, body] of steps) await change(path, body, admin.headers);
  const me = await login(origin);
  const own = { password: NEW_PASSWORD, password2: NEW_PASSWORD, old_password: PASSWORD };
  await change('/v1/auth/me', own, me.headers);
  const reply = await fetch(`${origin}/api/audit?limit=100`, { headers: admin.headers });
  const text = await reply.text();
  const { entries } = JSON.parse(text) as AuditPage;
  const details = entries.map(({ detail }) => detail);
  for (const [, , detail] of steps) assert.ok(details.includes(detail), `${detail} in ${details.join(' | ')}`);
  assert.ok(details.includes('password: none → another'));
  assert.ok(!text.includes(NEW_PASSWORD));
});
