/** A page of another origin in a browser: with cookies if its origin is allowed, otherwise only for files. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { anna } from '../../support/product/people.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../../support/servers/chromium.ts';

/** An empty page of another origin. */
async function startPage(t: TestContext): Promise<string> {
  const page = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<p>A page</p>'),
  );
  page.listen(0, '127.0.0.1');
  await once(page, 'listening');
  t.after(() => page.close());
  return `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
}

/** Runs requests in a script of the page. Returns statuses, or "blocked" if the browser hides the answer. */
function script({ origin, client }: TestServer): string {
  const chunk = `new Uint8Array([${[...Array(15).fill(0), 2, (97 + 98 + 99) % 256, 97, 98, 99].join()}])`;
  return `(async () => {
    const ask = (path, init = {}) => fetch('${origin}' + path, init).then(({ status }) => status, () => 'blocked');
    const bearer = { authorization: '${client.headers.authorization}' };
    const json = { 'content-type': 'application/json' };
    const octets = { ...bearer, 'content-type': 'application/octet-stream', 'x-chunk-crc32': '352441c2' };
    const cookies = { credentials: 'include' };
    return {
      upload: await ask('/api/files/upload?filename=a&total_size=3', { method: 'POST', headers: octets, body: ${chunk} }),
      download: await ask('/api/files/download/a', { headers: { ...bearer, range: 'bytes=0-1' } }),
      refused: await ask('/api/files/upload', { method: 'POST', headers: octets }),
      share: await ask('/api/files/share/a', { method: 'POST', headers: { ...bearer, ...json }, body: '{}' }),
      events: await ask('/api/events', { headers: { ...bearer, accept: 'text/event-stream' } }),
      signIn: await ask('/v1/auth/login', { method: 'POST', headers: json, body: '${JSON.stringify({ email: anna.email, password: anna.password })}', ...cookies }),
      byCookie: await ask('/v1/auth/me', cookies),
      refresh: await ask('/v1/auth/refresh', { method: 'POST', headers: json, body: '{}', ...cookies }),
      remove: await ask('/api/files/a', { method: 'DELETE', headers: bearer }),
    };
  })()`;
}

test('a page of an allowed origin uses every route, and a page of another origin only reads and uploads files', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const [allowed, stranger] = [await startPage(t), await startPage(t)];
  const server = await startServer(t, { LADING_ALLOWED_ORIGINS: allowed, LADING_REGISTRATION: 'open' });
  const headers = { 'content-type': 'application/json' };
  const made = await fetch(`${server.origin}/v1/auth/registration`, {
    method: 'POST',
    headers,
    body: JSON.stringify(anna),
  });
  assert.equal(made.status, 201, await made.text());
  const friend = await visit(t, allowed);
  assert.deepEqual(await friend.page.evaluate(script(server)), {
    upload: 200,
    download: 206,
    refused: 422,
    share: 201,
    events: 200,
    signIn: 200,
    byCookie: 200,
    refresh: 200,
    remove: 200,
  });
  const other = await visit(t, stranger);
  const blocked = 'blocked';
  assert.deepEqual(await other.page.evaluate(script(server)), {
    upload: blocked,
    download: 404,
    refused: blocked,
    share: blocked,
    events: blocked,
    signIn: blocked,
    byCookie: blocked,
    refresh: blocked,
    remove: blocked,
  });
});
