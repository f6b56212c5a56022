import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseList } from 'structured-headers';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { signIn, startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

/** `{ name: { q, w } }` of a field. */
function membersOf(field: string | null): Record<string, Record<string, unknown>> {
  assert.ok(field !== null);
  return Object.fromEntries(
    parseList(field).map(([name, parameters]) => [String(name), Object.fromEntries(parameters)]),
  );
}

test('a principal above its limit gets Retry-After, and others are served', async (t) => {
  const { origin, client, enrol } = await startServer(t, { LADING_RATE_PRINCIPAL: '3' });
  const other = await enrol();
  const ask = (headers: Record<string, string>) => fetch(`${origin}/api/files`, { headers });
  const first = await ask(client.headers);
  assert.deepEqual(membersOf(first.headers.get('ratelimit-policy')), {
    address: { q: 1200000, w: 60 },
    token: { q: 300000, w: 60 },
    principal: { q: 3, w: 60 },
  });
  assert.deepEqual(membersOf(first.headers.get('ratelimit')).principal, { r: 2, t: 20 });
  await ask(client.headers);
  await ask(client.headers);
  const refused = await ask(client.headers);
  const wait = Number(refused.headers.get('retry-after'));
  assert.ok(wait >= 19 && wait <= 20);
  assert.deepEqual(membersOf(refused.headers.get('ratelimit')), { principal: { r: 0, t: wait } });
  const problem = await assertProblemReply(refused, 'rate_limited');
  assert.deepEqual(problem['violated-policies'], ['principal']);
  assert.equal((await ask(other.headers)).status, 200);
});

test('a token above its limit does not affect other tokens of its client, whatever its kind', async (t) => {
  const { origin, client } = await startServer(t, { LADING_RATE_TOKEN: '3' });
  const signedIn = async (): Promise<Record<string, string>> => {
    const { access_token: token } = await signIn(origin, client.id, client.secret);
    return { authorization: `Bearer ${token}` };
  };
  const made = async (): Promise<Record<string, string>> => {
    const reply = await fetch(`${origin}/api/tokens`, { method: 'POST', headers: await signedIn() });
    assert.equal(reply.status, 201);
    return { authorization: `Bearer ${((await reply.json()) as { token: string }).token}` };
  };
  for (const [loud, quiet] of [
    [await signedIn(), await signedIn()],
    [await made(), await made()],
  ] as const) {
    const ask = (headers: Record<string, string>) => fetch(`${origin}/api/files`, { headers });
    const left: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      const reply = await ask(loud);
      assert.equal(reply.status, 200);
      left.push(membersOf(reply.headers.get('ratelimit')).token?.r);
    }
    assert.deepEqual(left, [2, 1, 0]);
    const before = membersOf((await ask(quiet)).headers.get('ratelimit')).principal?.r;
    const refused = await ask(loud);
    assert.ok(Number(refused.headers.get('retry-after')) >= 19);
    assert.deepEqual((await assertProblemReply(refused, 'rate_limited'))['violated-policies'], ['token']);
    const { token, principal } = membersOf((await ask(quiet)).headers.get('ratelimit'));
    assert.equal(token?.r, 1);
    assert.ok(Number(principal?.r) >= Number(before) - 2, 'what was refused took nothing from the client');
  }
});

test('an address above its limit is refused before authentication, except for health checks', async (t) => {
  const { origin, client } = await startServer(t, { LADING_RATE_ADDRESS: '4' });
  // The start of the test server also sent requests.
  const statuses: number[] = [];
  while (statuses.at(-1) !== 429 && statuses.length < 6) statuses.push((await fetch(`${origin}/api/files`)).status);
  assert.ok(statuses.length > 1 && statuses.slice(0, -1).every((status) => status === 401), String(statuses));
  for (const headers of [{}, client.headers]) {
    await assertProblemReply(await fetch(`${origin}/api/files`, { headers }), 'rate_limited');
  }
  await assertProblemReply(await fetch(`${origin}/nowhere`), 'rate_limited');
  for (const path of ['/health', '/ready']) {
    const reply = await fetch(`${origin}${path}`);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('ratelimit'), null);
  }
});

test('a request for the offset of an upload gets 503, because a 4xx would end the upload', async (t) => {
  const { origin, client } = await startServer(t, { LADING_RATE_PRINCIPAL: '1' });
  const ask = (method: string, more: Record<string, string> = {}) =>
    fetch(`${origin}/api/files/download/a`, { method, headers: { ...client.headers, ...more } });
  assert.equal((await ask('GET')).status, 404);
  const head = await ask('HEAD');
  assert.equal(head.status, 503);
  assert.ok(Number(head.headers.get('retry-after')) >= 1);
  await assertProblemReply(await ask('GET', { 'tus-resumable': '1.0.0' }), 'overloaded');
  await assertProblemReply(await ask('GET'), 'rate_limited');
});

test('replies to chunks report the limit once half of it is used', async (t) => {
  const { origin, client } = await startServer(t, {
    LADING_RATE_PRINCIPAL: '6',
    LADING_RATE_TOKEN: '0',
    LADING_RATE_ADDRESS: '0',
  });
  const fields: (string | null)[] = [];
  for (let n = 0; n < 6; n += 1) {
    const reply = await fetch(`${origin}/api/files/upload?filename=a&total_size=6`, {
      method: 'POST',
      headers: { ...client.headers, 'content-type': 'application/octet-stream' },
      body: encodeChunk(n, Buffer.from('x')),
    });
    assert.equal(reply.status, 200);
    fields.push(reply.headers.get('ratelimit')?.replace(/;t=\d+/, '') ?? null);
  }
  assert.deepEqual(fields, [null, null, '"principal";r=3', '"principal";r=2', '"principal";r=1', '"principal";r=0']);
});

test('0 turns the limits off', async (t) => {
  const off = { LADING_RATE_PRINCIPAL: '0', LADING_RATE_TOKEN: '0', LADING_RATE_ADDRESS: '0' };
  const { origin, client } = await startServer(t, off);
  const reply = await fetch(`${origin}/api/files`, { headers: client.headers });
  assert.equal(reply.headers.get('ratelimit'), null);
  assert.equal(reply.headers.get('ratelimit-policy'), null);
});

const RATES = ['RateLimit', 'RateLimit-Policy'];

/** The parts of the OpenAPI document that the test reads. */
interface Document {
  paths: Record<string, { get?: { responses: Record<string, { $ref?: string; headers?: object }> } }>;
  components: {
    headers: Record<string, { description: string; schema: { examples: string[] } }>;
    responses: Record<string, { headers?: object }>;
  };
}

test('the OpenAPI document has the rate limit fields where they are sent', async (t) => {
  const server = await startServer(t);
  const document = (await (await fetch(`${server.origin}/openapi.json`)).json()) as Document;
  const { paths, components } = document;
  assert.deepEqual(Object.keys(components.headers).sort(), RATES);
  for (const { description, schema } of Object.values(components.headers)) {
    assert.match(description, /requests/i);
    assert.ok(parseList(schema.examples[0] ?? '').length > 0, 'the example is a list (RFC 9651)');
  }
  const fieldsOf = (path: string, status: number): object => {
    const reply = paths[path]?.get?.responses[status];
    const shared = components.responses[reply?.$ref?.split('/').at(-1) ?? ''];
    return (shared ?? reply)?.headers ?? {};
  };
  const documented = (path: string, status: number): string[] => RATES.filter((name) => name in fieldsOf(path, status));
  for (const [path, headers, status] of [
    ['/api/files', server.client.headers, 200],
    ['/api/files', {}, 401],
    ['/api/audit', server.client.headers, 403],
    ['/api/quotas/{kind}/{id}', server.admin.headers, 404],
    ['/v1/auth/providers', {}, 200],
    ['/.well-known/jwks.json', {}, 200],
    ['/health', {}, 200],
    ['/ready', {}, 200],
  ] as const) {
    const reply = await fetch(server.origin + path.replace('{kind}/{id}', 'client/nobody'), { headers });
    assert.equal(reply.status, status, path);
    const sent = RATES.filter((name) => reply.headers.has(name));
    assert.deepEqual(documented(path, status), sent, `${path} ${status}`);
    assert.equal(sent.length, path === '/health' || path === '/ready' ? 0 : 2, path);
  }
  assert.deepEqual(documented('/api/files', 431), [], 'it is refused before its address is looked at');
  for (const status of [429, 503]) assert.ok('Retry-After' in fieldsOf('/api/files', status), String(status));
});
