/** Unknown parameters and keys are refused by name on every route, except those of open protocols. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkFormField, closed, unknownKeys } from '../../../src/http/request/unknown-keys.ts';
import { nearest } from '../../../src/settings/misspelt.ts';
import { rootFolder } from '../../support/product/identity.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { OPEN_QUERIES } from '../../support/tables/open-queries.ts';
import { type Operation, operationsOf } from '../../support/tables/openapi.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

/** Routes whose body may have unknown keys, and why. */
const OPEN_BODIES: Record<string, string> = {
  'POST /auth/token': 'RFC 6749 §3.2',
  'POST /api/oauth/token': 'RFC 6749 §3.2',
  'POST /api/oauth/revoke': 'RFC 7009 §2.1',
  'POST /api/oauth/introspect': 'RFC 7662 §2.1',
  'POST /calls/provider/{session_id}': 'sent by the provider',
};

const TYPES = ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'] as const;

function pathOf({ path }: Operation): string {
  return path.replace('{kind}', 'client').replace(/\{[^}]+\}/g, 'a');
}

async function ask(server: TestServer, operation: Operation, query: string, body?: [type: string, json: object]) {
  const headers: Record<string, string> = { ...server.admin.headers };
  let payload: string | FormData | URLSearchParams | null = null;
  if (body?.[0] === 'application/json') {
    headers['content-type'] = 'application/json';
    payload = JSON.stringify(body[1]);
  } else if (body) {
    const form = body[0] === 'multipart/form-data' ? new FormData() : new URLSearchParams();
    for (const [name, value] of Object.entries(body[1])) form.set(name, String(value));
    payload = form;
  }
  const url = `${server.origin}${pathOf(operation)}${query}`;
  return fetch(url, { method: operation.method, headers, body: payload, redirect: 'manual' });
}

/** The smallest body that matches the schema. */
function sampleOf({ properties = {}, required = [] }: Record<string, unknown>): Record<string, unknown> {
  const known = properties as Record<string, { type?: unknown; enum?: unknown[] }>;
  return Object.fromEntries(
    (required as string[]).map((name) => {
      const { type, enum: words } = known[name] ?? {};
      if (words) return [name, words[0]];
      if (type === 'boolean') return [name, false];
      return [name, [type].flat().includes('null') ? null : 'aaaaaaaa'];
    }),
  );
}

/** What the error says about the name; null for another error. */
async function said(reply: Response, name: string): Promise<string | null> {
  const text = await reply.text();
  const refused = reply.status === 422 || (reply.status === 400 && text.includes('"error"'));
  return refused && text.includes(`\`${name}\``) ? text : null;
}

test('every closed route refuses an unknown query parameter by name', async (t) => {
  const server = await startServer(t, { LADING_REGISTRATION: 'open' }, {}, await rootFolder(t));
  const operations = await operationsOf(server.origin);
  assert.ok(operations.length > 90);
  for (const operation of operations) {
    const body: [string, object] | undefined = operation.body
      ? ['application/json', sampleOf(operation.body)]
      : undefined;
    const reply = await ask(server, operation, '?qzx=1', body);
    if (OPEN_QUERIES[operation.name] !== undefined) {
      assert.ok(!(await reply.text()).includes('qzx'), operation.name);
      continue;
    }
    if (operation.method === 'HEAD') assert.equal(reply.status, 422, operation.name);
    else assert.ok(await said(reply, 'qzx'), `${operation.name}: ${reply.status}`);
    for (const { name } of operation.parameters) {
      if (operation.method === 'HEAD') continue;
      const typo = `${name.slice(0, -2)}${name.slice(-1)}`;
      if (typo.length < 3) continue;
      const text = await said(await ask(server, operation, `?${typo}=1`, body), typo);
      assert.ok(text?.includes(`did you mean \`${name}\`?`), `${operation.name} ?${typo}: ${text}`);
    }
  }
  const names = new Set(operations.map(({ name }) => name));
  for (const open of Object.keys(OPEN_QUERIES)) assert.ok(names.has(open), `${open} is no operation`);
});

test('every JSON body and form refuses an unknown key by name', async (t) => {
  const server = await startServer(t, { LADING_REGISTRATION: 'open' }, {}, await rootFolder(t));
  const operations = await operationsOf(server.origin);
  const seen = new Set<string>();
  for (const operation of operations) {
    for (const type of TYPES) {
      const schema = operation.content[type];
      const properties = Object.keys((schema?.properties ?? {}) as object);
      const isUpload = properties.some((name) => /^(?:file|audio_file|request_file)$/.test(name));
      if (!schema || isUpload || OPEN_BODIES[operation.name] !== undefined) continue;
      seen.add(operation.name);
      assert.equal(schema.additionalProperties, false, operation.name);
      const where = `${operation.name} ${type}`;
      const reply = await ask(server, operation, operation.path.endsWith('update_user') ? '?pk=a' : '', [
        type,
        { qzx: 1 },
      ]);
      const { status } = reply;
      assert.ok(await said(reply, 'qzx'), `${where}: ${status}`);
    }
  }
  assert.ok(seen.size > 20, [...seen].join(', '));
});

test('the error suggests a similar key, also in nested objects', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  const put = await fetch(`${origin}/api/files/content/a.txt`, {
    method: 'PUT',
    headers: client.headers,
    body: 'hello',
  });
  assert.ok(put.ok);
  const post = async (path: string, body: object, headers = client.headers): Promise<string> => {
    const reply = await fetch(origin + path, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return (await assertProblemReply(reply, 'validation_failed')).detail;
  };
  const share = await post('/api/files/share/a.txt', { expires: 60, maxDownloads: 1 });
  assert.match(share, /unknown key `expires`; did you mean `expires_in`\?/);
  assert.match(share, /unknown key `maxDownloads`; did you mean `max_downloads`\?/);
  const grant = { prefix: 'a', grantee: client.id, expire_in: 60 };
  assert.match(await post('/api/grants', grant), /unknown key `expire_in`; did you mean `expires_in`\?/);
  assert.match(await post('/api/tokens', { prefix: 'a/' }), /unknown key `prefix`\. Known: user_id, scopes/);
  const target = { kind: 'webhook', url: 'https://example.com/', rule: { ownr: client.id } };
  assert.match(
    await post('/api/deliveries/targets', target, admin.headers),
    /unknown key `rule\.ownr`; did you mean `owner`\?/,
  );
  const upload = await fetch(`${origin}/api/files/upload?filename=a.txt&total_size=1&overwite=true`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(18),
  });
  const { detail } = await assertProblemReply(upload, 'validation_failed');
  assert.match(detail, /unknown query parameter `overwite`; did you mean `overwrite`\?/);
});

test('routes of open protocols ignore unknown parameters', async (t) => {
  const { origin, client } = await startServer(t);
  const form = { username: client.id, password: client.secret, audience: 'x', resource: 'y' };
  const signedIn = await fetch(`${origin}/auth/token`, { method: 'POST', body: new URLSearchParams(form) });
  assert.equal(signedIn.status, 200);
  const grant = { grant_type: 'client_credentials', client_id: client.id, client_secret: client.secret, audience: 'x' };
  const granted = await fetch(`${origin}/api/oauth/token`, { method: 'POST', body: new URLSearchParams(grant) });
  assert.equal(granted.status, 200, await granted.text());
  const begun = await fetch(`${origin}/files/?utm=1`, {
    method: 'POST',
    headers: {
      ...client.headers,
      'tus-resumable': '1.0.0',
      'upload-length': '1',
      'upload-metadata': 'filename YQ==,x',
    },
  });
  assert.equal(begun.status, 201);
  const upload = await fetch(`${origin}/api/uploads?utm=1`, {
    method: 'POST',
    headers: { ...client.headers, 'upload-complete': '?0' },
    body: 'x',
  });
  assert.equal(upload.status, 201);
});

test('a form field that resembles a query parameter is refused, and other fields are ignored', async (t) => {
  const { origin, client } = await startServer(t);
  const send = async (path: string, part: string, fields: Record<string, string>): Promise<Response> => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    form.set(part, new Blob([]), 'a.txt');
    return fetch(origin + path, { method: 'POST', headers: client.headers, body: form });
  };
  const upload = '/api/files/upload?filename=a.txt&total_size=0';
  const ignored = await send(upload, 'file', { note: 'x', filename: 'a.txt', token: '1' });
  assert.equal(ignored.status, 200, await ignored.text());
  for (const field of ['overwrite', 'Overwrite', 'overwite', 'content-type']) {
    const refused = await assertProblemReply(await send(upload, 'file', { [field]: 'true' }), 'validation_failed');
    assert.ok(refused.detail.includes(`\`${field}\``), refused.detail);
  }
  const other = await send(upload, 'file', { filename: 'another.txt' });
  await assertProblemReply(other, 'validation_failed');
  const near = await send('/v1/audio/file', 'file', { file_descripton: 'x' });
  assert.match((await assertProblemReply(near, 'validation_failed')).detail, /did you mean `file_description`\?/);
  const before = await send('/api/upload', 'audio_file', { overwrite: 'true' });
  assert.equal(before.status, 400);
});

test('a body part without a name is ignored', async (t) => {
  const { origin, client } = await startServer(t);
  const part = (disposition: string, body: string) =>
    `--b\r\nContent-Disposition: form-data${disposition}\r\n\r\n${body}\r\n`;
  const file = part('; name="file"; filename="a.txt"', '');
  for (const nameless of [
    part('', 'x'),
    part('; nam="a"', 'x'),
    part('; namfilename=""', 'x'),
    part('; name=""', 'x'),
  ]) {
    for (const body of [nameless + file, file + nameless]) {
      const reply = await fetch(`${origin}/api/files/upload?filename=a.txt&total_size=0`, {
        method: 'POST',
        headers: { ...client.headers, 'content-type': 'multipart/form-data; boundary=b' },
        body: `${body}--b--\r\n`,
      });
      assert.equal(reply.status, 200, await reply.text());
    }
  }
});

test('an unknown key is found and named, whatever its name', () => {
  const schema = {
    type: 'object',
    properties: { expires_in: { type: 'integer' }, max_downloads: { type: 'integer' } },
  };
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const found = unknownKeys(closed(schema) as never, JSON.parse(`{${JSON.stringify(name)}:1}`));
      assert.deepEqual(found?.unknown ?? [], Object.hasOwn(schema.properties, name) ? [] : [name]);
      nearest(name, Object.keys(schema.properties));
      assert.ok(found === null || found.known.length === 2);
    }),
  );
  assert.doesNotThrow(() => checkFormField(['__proto__', 'x'], [], { names: ['overwrite'], given: {} }));
  assert.equal(nearest('expires', ['expires_in', 'max_downloads']), 'expires_in');
  assert.equal(nearest('zzz', ['expires_in']), null);
  assert.equal(nearest('x'.repeat(1000), ['expires_in']), null);
});

test('an optional body may be empty with a JSON Content-Type', async (t) => {
  const server = await startServer(t, { LADING_REGISTRATION: 'open' });
  const tried: string[] = [];
  for (const operation of await operationsOf(server.origin)) {
    if (operation.method === 'GET' || operation.method === 'HEAD' || operation.required) continue;
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(`${server.origin}${pathOf(operation)}`, { method: operation.method, headers, body: '' });
    assert.doesNotMatch(await reply.text(), /body is empty/, operation.name);
    tried.push(operation.name);
  }
  for (const name of ['POST /v1/auth/refresh', 'POST /v1/auth/logout', 'POST /api/tokens']) {
    assert.ok(tried.includes(name), name);
  }
  const headers = { ...server.client.headers, 'content-type': 'application/json' };
  const made = await fetch(`${server.origin}/api/tokens`, { method: 'POST', headers, body: '' });
  assert.equal(made.status, 201);
  assert.equal(((await made.json()) as { user_id: string }).user_id, 'default_user');
});
