import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { request } from 'undici';
import { acceptedCoding } from '../../../src/http/request/accept.ts';
import { startServer } from '../../support/product/server.ts';

test('a fixed document is built and compressed once, and a client that has it gets 304', async (t) => {
  const { origin } = await startServer(t);
  const page = await (await fetch(`${origin}/`)).text();
  const asset = /"(?:\.?\/)?(assets\/[^"]+)"/.exec(page)?.[1] ?? assert.fail('the dashboard has no files');
  const paths = ['/openapi.json', '/docs', '/docs/', '/docs/static/swagger-ui-bundle.js', '/docs/static/start.js', '/'];
  paths.push(
    ...['oauth-authorization-server', 'oauth-protected-resource', 'jwks.json'].map((n) => `/.well-known/${n}`),
  );
  for (const path of [...paths, `/${asset}`]) {
    const ask = (headers: Record<string, string>, method: 'GET' | 'HEAD' = 'GET') =>
      request(`${origin}${path}`, { method, headers });
    const plain = await ask({});
    assert.equal(plain.statusCode, 200, path);
    assert.equal(plain.headers['content-encoding'], undefined, path);
    assert.equal(plain.headers.vary, 'accept-encoding', path);
    const bytes = Buffer.from(await plain.body.arrayBuffer());
    assert.equal(plain.headers['content-length'], String(bytes.length), path);

    const coded = await ask({ 'accept-encoding': 'gzip' });
    assert.equal(coded.headers['content-encoding'], 'gzip', path);
    assert.deepEqual(gunzipSync(Buffer.from(await coded.body.arrayBuffer())), bytes, path);
    assert.notEqual(coded.headers.etag, plain.headers.etag, 'a strong tag names the bytes as they are sent');
    const head = await ask({ 'accept-encoding': 'gzip' }, 'HEAD');
    assert.equal(head.headers['content-length'], coded.headers['content-length'], path);
    await head.body.dump();

    for (const [coding, tag] of [
      ['gzip', coded.headers.etag],
      ['identity', plain.headers.etag],
    ]) {
      const again = await ask({ 'accept-encoding': String(coding), 'if-none-match': String(tag) });
      assert.equal(again.statusCode, 304, path);
      assert.equal(again.headers.etag, tag, path);
      assert.equal(again.headers.vary, 'accept-encoding', path);
      assert.equal(await again.body.text(), '');
    }
    const other = await ask({ 'if-none-match': '"another"' });
    assert.equal(other.statusCode, 200, path);
    await other.body.dump();
  }
});

test('the page of the API loads its files and the document by relative URLs', async (t) => {
  const { origin } = await startServer(t);
  for (const path of ['/docs', '/docs/']) {
    const page = await (await fetch(`${origin}${path}`)).text();
    const found = [...page.matchAll(/(?:href|src|data-document)="([^"]+)"/g)].map(([, address = '']) => address);
    assert.equal(found.length, 6);
    for (const address of found) {
      // The page declares that it has no icon; otherwise the browser would request one at the root.
      if (address === 'data:,') continue;
      assert.doesNotMatch(address, /^\/|:/);
      assert.equal((await fetch(new URL(address, `${origin}${path}`))).status, 200, `${path} ${address}`);
    }
  }
  assert.equal((await fetch(`${origin}/docs/static/none.js`)).status, 404);
});

test('the coding of an answer is the one with the highest weight (RFC 9110 §12.5.3)', () => {
  const cases: [accept: string | undefined, coding: string | null][] = [
    [undefined, null],
    ['', null],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP, deflate', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['gzip;q=1.0, br;q=0.5', 'gzip'],
    ['br;q=0, gzip;q=0.1', 'gzip'],
    ['gzip;q=0', null],
    ['*', 'br'],
    ['*;q=0', null],
    ['identity', null],
    ['identity;q=1, gzip;q=0.5', null],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    ['identity;q=0, *', 'br'],
    ['gzip;q=nonsense', null],
    ['compress', null],
  ];
  for (const [accept, coding] of cases) assert.equal(acceptedCoding(accept, ['br', 'gzip']), coding, accept);
});
