/** Documents of every kind with invalid values in every field: unusable ones are skipped, and every list works. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { pino } from 'pino';
import { COLLECTIONS } from '../../../src/contracts/store.ts';
import { wav } from '../../support/audio.ts';
import { eventually } from '../../support/eventually.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { ask, PASSWORD, register } from '../../support/product/people.ts';
import { sign, startServer, type TestServer } from '../../support/product/server.ts';
import { startVoiceProvider } from '../../support/servers/voice-provider.ts';
import { operationsOf } from '../../support/tables/openapi.ts';

const NONSENSE = [-3, 0, 1.5, 1e18, 1e300, 'text', '', null, true, [], {}, [null], [-1]] as const;
const SETTINGS = { LADING_REGISTRATION: 'open', LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_RETRY_SECONDS: '3600' };

type Document = Record<string, unknown>;

async function made(reply: Promise<Response>): Promise<Record<string, string>> {
  const answer = await reply;
  assert.ok(answer.ok, `${answer.url}: ${answer.status} ${await answer.clone().text()}`);
  return JSON.parse((await answer.text()) || '{}') as Record<string, string>;
}

/** Creates at least one document of each kind. The delivery targets do not exist. */
async function fill(server: TestServer): Promise<string[]> {
  const { origin, admin, client, app } = server;
  const root = sign(app, 'root', 'root').headers;
  const by = (path: string, body: object, headers = client.headers, method = 'POST') =>
    made(ask(origin, path, { method, body, headers }));
  const hook = {
    kind: 'webhook',
    name: 'hook',
    url: 'http://127.0.0.1:9/x',
    events: ['file.completed'],
    secret: 'a-secret-of-16-chars',
  };
  const ftp = { kind: 'ftp', name: 'ftp', host: '127.0.0.1', port: 9, username: 'u', password: 'p' };
  const targets = [
    await by('/api/deliveries/targets', hook, admin.headers),
    await by('/api/deliveries/targets', ftp, admin.headers),
  ];
  const put = { method: 'PUT', headers: { ...client.headers, 'content-type': 'audio/wav' }, body: wav() };
  await made(fetch(`${origin}/api/files/content/a.wav`, put));
  const tenant = await by('/api/tenants', { tenant_id: 'other', name: 'Other' }, root);
  const share = await by('/api/files/share/a.wav', { password: PASSWORD, max_downloads: 3 });
  const { person } = await register(origin);
  const grant = await by('/api/grants', { prefix: 'a', grantee: person.id });
  const token = await by('/api/tokens', {});
  const revoked = await server.enrol();
  await made(fetch(`${origin}/logout`, { headers: revoked.headers }));
  for (const [kind, id] of [
    ['client', client.id],
    ['person', person.id],
    ['tenant', 'other'],
  ] as const) {
    await by(`/api/quotas/${kind}/${id}`, { bytes: 10 ** 12, open_uploads: 5, day_bytes: 10 ** 12 }, root, 'PUT');
  }
  await by('/calls/otp', { phone: '+14155552671' });
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(wav())], { type: 'audio/wav' }), 'b.wav');
  await made(fetch(`${origin}/v1/audio/file`, { method: 'POST', headers: client.headers, body: form }));
  return [client.id, person.id, ...[...targets, tenant, share, grant, token].map((one) => firstId(one))];
}

function firstId(reply: Record<string, string>): string {
  return reply.id ?? reply.tenant_id ?? reply.share_id ?? reply.grant_id ?? reply.token_id ?? assert.fail('no id');
}

/** The document with one value replaced, at any depth. */
function* variants(value: unknown, skip: string): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === skip) continue;
    const changed = (to: unknown): unknown =>
      Array.isArray(value) ? value.map((one, n) => (String(n) === key ? to : one)) : { ...value, [key]: to };
    for (const nonsense of NONSENSE) yield changed(nonsense);
    for (const deeper of variants(inner, '')) yield changed(deeper);
    if (!Array.isArray(value)) yield changed(undefined);
  }
}

/** Writes variants of each document of a kind under new names. Returns their number. */
async function spoil(folder: string, idField: string): Promise<number> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  let count = 0;
  for (const name of names) {
    const document = JSON.parse(await readFile(join(folder, name), 'utf8')) as Document;
    for (const variant of variants(document, idField)) {
      const id = randomBytes(String(document[idField]).length === 16 ? 8 : 12).toString('hex');
      await writeFile(join(folder, `${id}.json`), JSON.stringify({ ...(variant as Document), [idField]: id }));
      count += 1;
    }
  }
  for (const text of ['', '{', 'null', '[]', '"text"', '\0\0\0\0']) {
    await writeFile(join(folder, `${randomBytes(12).toString('hex')}.json`), text);
  }
  return count;
}

function listener(): { log: pino.Logger; lines: string[] } {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return { log: pino({ level: 'warn' }, sink), lines };
}

test('lists still work with damaged documents of any kind', async (t) => {
  const voice = await startVoiceProvider(t);
  const settings = { ...SETTINGS, ...voice.settings };
  const { dataDir } = await seededFolder(t, async ({ clients }) => {
    await clients.create({ id: 'root', secret: 'the-secret-of-the-root', role: 'root', name: null });
  });
  const first = await startServer(t, settings, {}, dataDir);
  const ids = await fill(first);
  const folderOf = (name: string) => join(dataDir, 'v1', name);
  await eventually(async () => (await readdir(folderOf('deliveries'))).length >= 2, 'deliveries');
  await first.close();
  for (const name of COLLECTIONS) {
    assert.ok((await spoil(folderOf(name), name === 'clients' ? 'clientId' : 'id')) > 0, `no document of ${name}`);
  }

  const { log, lines } = listener();
  const server = await startServer(t, settings, { log }, dataDir);
  const { origin, admin, app } = server;
  const root = sign(app, 'root', 'root').headers;
  assert.ok(lines.some((line) => line.includes('a damaged document was skipped')));
  const lists = (await operationsOf(origin)).filter(({ method, path }) => method === 'GET' && !path.includes('{'));
  const endless = /\/api\/events|\/logout|\/auth\/(?:oidc|yandex)/;
  let shown = '';
  for (const { path } of lists.filter(({ path }) => !endless.test(path))) {
    for (const headers of [root, admin.headers, first.client.headers]) {
      const reply = await fetch(`${origin}${path}`, { headers, redirect: 'manual' });
      const text = await reply.text();
      assert.ok(reply.status < 500, `GET ${path}: ${reply.status} ${text}`);
      shown += text;
    }
  }
  for (const id of ids) assert.ok(shown.includes(id), `${id} is in no list`);
  const errors = lines.filter((line) => line.includes('unexpected error'));
  assert.deepEqual(errors, []);
});
