/** Metrics for alerts: they exist, change, have help texts, and are used by the documented rules. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { repoRoot } from '../support/root.ts';

async function metrics({ origin, admin }: TestServer): Promise<string> {
  const reply = await fetch(`${origin}/metrics`, { headers: admin.headers });
  assert.equal(reply.status, 200);
  return reply.text();
}

function value(text: string, name: string): number {
  const found = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1];
  assert.ok(found, `${name} is missing`);
  return Number(found);
}

test('the metrics show stored and free bytes, failed sign-ins and the build', async (t) => {
  const server = await startServer(t);
  const before = await metrics(server);
  assert.equal(value(before, 'lading_stored_bytes'), 0);
  assert.equal(value(before, 'lading_sign_ins_failed_total'), 0);
  assert.ok(value(before, 'lading_disk_free_bytes') > 0);
  assert.match(before, new RegExp(`^lading_build_info\\{version="[\\d.]+",node="${process.versions.node}"\\} 1$`, 'm'));

  const body = Buffer.alloc(12_345, 'x');
  const put = await fetch(`${server.origin}/api/files/content/a`, {
    method: 'PUT',
    headers: server.client.headers,
    body,
  });
  assert.equal(put.status, 201);
  for (let i = 0; i < 3; i += 1) {
    await fetch(`${server.origin}/auth/token`, {
      method: 'POST',
      body: new URLSearchParams({ username: server.client.id, password: 'a wrong secret' }),
    });
  }
  const later = await metrics(server);
  assert.equal(value(later, 'lading_stored_bytes'), body.length);
  assert.equal(value(later, 'lading_sign_ins_failed_total'), 3);
  await fetch(`${server.origin}/api/files/a`, { method: 'DELETE', headers: server.client.headers });
  assert.equal(value(await metrics(server), 'lading_stored_bytes'), 0);
});

test('a failed delivery and each of its attempts are counted', async (t) => {
  const server = await startServer(t, {
    LADING_DELIVERY_ATTEMPTS: '2',
    LADING_DELIVERY_RETRY_SECONDS: '1',
    LADING_WEBHOOK_PRIVATE: 'on',
  });
  const created = await fetch(`${server.origin}/api/deliveries/targets`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    // No server listens on port 9.
    body: JSON.stringify({ kind: 'webhook', name: 'none', url: 'http://127.0.0.1:9/', events: ['file.completed'] }),
  });
  assert.ok(created.ok, await created.text());
  const put = await fetch(`${server.origin}/api/files/content/a`, {
    method: 'PUT',
    headers: server.client.headers,
    body: 'whole',
  });
  assert.equal(put.status, 201);
  await eventually(
    async () => value(await metrics(server), 'lading_deliveries_failed_total') === 1,
    'the failed delivery',
  );
  assert.ok(value(await metrics(server), 'lading_delivery_tries_failed_total') >= 2);
});

test('every metric has a type, a help text that says more than its name, and a conventional name', async (t) => {
  const text = await metrics(await startServer(t));
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const helps = new Map([...text.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name = '', help = '']) => [name, help]));
  assert.ok(types.size > 30);
  for (const [name, type] of types) {
    assert.match(name, /^lading_[a-z][a-z0-9_]*$/);
    assert.equal(type === 'counter', name.endsWith('_total'), name);
    // The metrics of Node and the process come from a library.
    if (/^lading_(?:nodejs|process)_/.test(name)) continue;
    assert.doesNotMatch(name, /_(?:ms|millis|minutes|kb|mb)(?:_|$)/, 'base units');
    const help = helps.get(name) ?? '';
    const repeated = name.replace('lading_', '').replaceAll('_', ' ');
    assert.ok(help.length > repeated.length + 5 && /^[A-Z].*\.$/.test(help), `${name}: ${help}`);
    assert.notEqual(help.toLowerCase().replace('.', ''), repeated);
  }
});

test('the documentation and the alert rules name only existing metrics', async (t) => {
  const text = await metrics(await startServer(t));
  const texts = ['docs/operations.md', 'deploy/alerts.yml'].map((name) => readFile(join(repoRoot(), name), 'utf8'));
  const named = new Set((await Promise.all(texts)).join('\n').match(/\blading_[a-z_]+/g));
  assert.ok(named.size > 15);
  const known = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name));
  for (const name of named) assert.ok(known.has(name.replace(/_bucket$/, '')), name);
});
