/** Every number and date in a request has limits: no value causes a failure, neither at once nor after the next start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootFolder } from '../../support/product/identity.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { listsOf, numbersOf, type Operation, operationsOf } from '../../support/tables/openapi.ts';

/** Numbers as JSON text; 1e309 is parsed as infinity. */
const HOSTILE = ['1000000000000000000', '-1', '1.5', '1e308', '1e309', '9007199254740993', '"NaN"', '"1e18"', '[]'];
const HOSTILE_TEXT = [...HOSTILE.map((text) => text.replaceAll('"', '')), 'Infinity', '-Infinity', '0x10', ' 5', '٣'];

/** Other fields that a request needs so that its number is read. */
const BODIES: Record<string, (server: TestServer) => Record<string, unknown>> = {
  'POST /api/tokens': () => ({}),
  'POST /api/files/share/{filename}': () => ({}),
  'POST /api/grants': ({ client }) => ({ prefix: 'a', grantee: client.id }),
  'PUT /api/quotas/{kind}/{id}': () => ({}),
  'POST /api/deliveries/targets': () => ({ kind: 'ftp', host: '127.0.0.1' }),
};

/** Request fields that contain a number or a date, and values that every parser must handle. */
const FIELDS: Record<string, readonly string[]> = {
  'Upload-Length': HOSTILE_TEXT,
  'Upload-Offset': HOSTILE_TEXT,
  'Upload-Defer-Length': HOSTILE_TEXT,
  'Content-Range': [
    'bytes 0-1000000000000000000/1000000000000000001',
    'bytes -1-1/2',
    'bytes 0-1/1e308',
    'bytes */9007199254740993',
    `bytes 0-${'9'.repeat(400)}/*`,
  ],
  Range: ['bytes=0-1000000000000000000', 'bytes=1e308-', `bytes=-${'9'.repeat(400)}`, 'bytes=NaN-', 'bytes=-1.5'],
  'If-Range': ['Fri, 01 Jan 275761 00:00:00 GMT', 'Fri, 31 Dec 9999 23:59:59 GMT', 'Thu, 01 Jan 1970 99:99:99 GMT'],
  'If-Modified-Since': [
    'Fri, 01 Jan 275761 00:00:00 GMT',
    'Fri, 31 Dec 9999 23:59:59 GMT',
    'Friday, 31-Dec-99 99:59:59 GMT',
  ],
  'If-Unmodified-Since': ['Fri, 01 Jan 275761 00:00:00 GMT', 'Mon, 00 Jan 0000 00:00:00 GMT', '1000000000000000000'],
  'Last-Event-ID': ['a-1000000000000000000', '--1', 'a-1e308', 'a-NaN'],
  'Want-Repr-Digest': ['sha-256=1000000000000000000', 'sha-256=-1', 'sha-256=1e308'],
  'Want-Content-Digest': ['sha-256=1000000000000000000', 'sha-256=-1'],
};

function paramsFor({ path }: Operation, { client }: TestServer): string {
  return path
    .replace('{filename}', 'a.bin')
    .replace('{kind}', 'client')
    .replace(/\{[^}]+\}/g, client.id);
}

async function send(server: TestServer, operation: Operation, init: RequestInit, query = ''): Promise<Response> {
  const headers = { ...server.admin.headers, ...(init.headers as Record<string, string>) };
  // A stream does not end, so read only its head.
  const cut = new AbortController();
  const url = `${server.origin}${paramsFor(operation, server)}${query}`;
  const reply = await fetch(url, {
    ...init,
    headers,
    method: operation.method,
    redirect: 'manual',
    signal: cut.signal,
  });
  const stream = reply.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const whole = stream ? null : await reply.arrayBuffer();
  cut.abort();
  return new Response(reply.status === 204 || reply.status === 304 ? null : whole, { status: reply.status });
}

async function assertListsAnswer(server: TestServer): Promise<void> {
  for (const list of listsOf(await operationsOf(server.origin))) {
    const reply = await send(server, list, {});
    assert.equal(reply.status, 200, `GET ${list.path}: ${reply.status} ${await reply.text()}`);
  }
}

test('the OpenAPI document gives a minimum and a maximum for each number of a request', async (t) => {
  const { origin } = await startServer(t);
  const operations = await operationsOf(origin);
  const numbers = operations.flatMap((operation) => numbersOf(operation).map((number) => ({ operation, number })));
  assert.ok(numbers.length >= 15, String(numbers.length));
  for (const { operation, number } of numbers) {
    const where = `${operation.name} ${number.name}`;
    assert.equal(typeof number.schema.minimum, 'number', where);
    assert.ok(Number(number.schema.maximum) <= Number.MAX_SAFE_INTEGER, where);
  }
});

test('numbers out of range are refused and have no later effect', async (t) => {
  const dataDir = await rootFolder(t);
  const server = await startServer(t, {}, {}, dataDir);
  const put = await fetch(`${server.origin}/api/files/content/a.bin`, {
    method: 'PUT',
    headers: server.admin.headers,
    body: 'hello',
  });
  assert.ok(put.ok, await put.text());
  const operations = await operationsOf(server.origin);
  for (const operation of operations) {
    for (const number of numbersOf(operation)) {
      if (number.place === 'query') {
        for (const text of HOSTILE_TEXT) {
          const query = `?filename=n.bin&${number.name}=${encodeURIComponent(text)}`;
          const reply = await send(
            server,
            operation,
            {},
            number.name === 'total_size' ? query : query.replace('filename=n.bin&', ''),
          );
          assert.ok(reply.status >= 400 && reply.status < 500, `${operation.name} ${query}: ${reply.status}`);
        }
        continue;
      }
      const base = BODIES[operation.name];
      assert.ok(base, `${operation.name} has a number in its body, and no row in this table`);
      for (const text of HOSTILE) {
        const body = JSON.stringify({ ...base(server), [number.name]: 0 }).replace(
          `"${number.name}":0`,
          `"${number.name}":${text}`,
        );
        const reply = await send(server, operation, { body, headers: { 'content-type': 'application/json' } });
        const answer = await reply.text();
        assert.ok(reply.status >= 400 && reply.status < 500, `${operation.name} ${body}: ${reply.status} ${answer}`);
      }
    }
  }
  await assertListsAnswer(server);
  await server.close();
  await assertListsAnswer(await startServer(t, {}, {}, dataDir));
});

test('extreme numbers and dates in header fields cause no failure', async (t) => {
  const server = await startServer(t, {}, {}, await rootFolder(t));
  const put = await fetch(`${server.origin}/api/files/content/a.bin`, {
    method: 'PUT',
    headers: server.admin.headers,
    body: 'hello',
  });
  assert.ok(put.ok);
  for (const operation of await operationsOf(server.origin)) {
    for (const name of operation.fields) {
      for (const value of FIELDS[name] ?? []) {
        const body = ['GET', 'HEAD', 'DELETE'].includes(operation.method) ? {} : { body: 'hello' };
        const reply = await send(server, operation, { ...body, headers: { [name]: encodeURI(value) } });
        assert.ok(reply.status < 500 || reply.status === 501, `${operation.name} ${name}: ${value}: ${reply.status}`);
      }
    }
  }
  await assertListsAnswer(server);
});

test('the token dashboard refuses lifetimes out of range, and its lists still work', async (t) => {
  const password = 'only for the tokens of this test';
  const dataDir = await rootFolder(t);
  const server = await startServer(t, { DASHBOARD_PASSWORD: password }, {}, dataDir);
  const page = `${server.origin}/api/tokens/dashboard`;
  const post = (path: string, fields: Record<string, string>, cookie = '') =>
    fetch(`${page}${path}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers: { cookie },
      redirect: 'manual',
    });
  const [cookie = ''] = (await post('', { password })).headers.getSetCookie().map((line) => line.split(';')[0] ?? '');
  const wanted = { owner: `device ${server.client.id}`, 'scope files:read': 'on' };
  for (const life of HOSTILE_TEXT) {
    const reply = await post('/tokens/create', { ...wanted, life }, cookie);
    assert.equal(reply.status, 422, `${life}: ${reply.status}`);
  }
  assert.equal((await post('/tokens/create', { ...wanted, life: '86400' }, cookie)).status, 201);
  assert.equal((await fetch(`${page}/tokens`, { headers: { cookie } })).status, 200);
  await assertListsAnswer(server);
  await server.close();
  await assertListsAnswer(await startServer(t, {}, {}, dataDir));
});
