/** Proxies from environment variables, with a real proxy. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from '../../../src/client/node.ts';
import { startServer, type TestSettings } from '../../support/product/server.ts';
import { authority, noOpenssl } from '../../support/servers/certificates.ts';
import { startConnectProxy } from '../../support/servers/connect-proxy.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';
import { bytesOf, sourceOf } from '../../support/tables/fixtures.ts';

async function setUp(t: TestContext, settings: TestSettings = {}, scheme = 'http') {
  const server = await startServer(t, settings);
  const proxy = await startConnectProxy(t);
  const cwd = await temporaryFolder(t);
  const LADING_SERVER = `${scheme}://127.0.0.1:${server.port}`;
  const run = (args: string[], env: Record<string, string>) =>
    runCli(t, args, { cwd, env: { LADING_SERVER, LADING_TOKEN: server.client.token, ...env } });
  return { server, proxy, cwd, run };
}

test('HTTPS_PROXY tunnels to a TLS server, whose certificate is still verified', {
  skip: noOpenssl,
}, async (t) => {
  const { sign, caPath } = authority(t);
  const { certPath, keyPath } = sign();
  const { server, proxy, cwd, run } = await setUp(t, { LADING_TLS_CERT: certPath, LADING_TLS_KEY: keyPath }, 'https');
  const bytes = bytesOf(300_000);
  await writeFile(join(cwd, 'f'), bytes);
  const env = { LADING_CA: caPath, HTTPS_PROXY: proxy.url, HTTP_PROXY: 'http://127.0.0.1:9' };
  const sent = await run(['upload', 'f', '--chunk-size', '64K'], env);
  assert.equal(sent.code, 0, sent.stderr);
  assert.equal((await run(['download', 'f', '-o', 'g'], env)).code, 0);
  assert.deepEqual(await readFile(join(cwd, 'g')), Buffer.from(bytes));
  assert.ok(proxy.seen.length >= 2);
  for (const seen of proxy.seen) assert.equal(seen, `CONNECT 127.0.0.1:${server.port}`);
  const untrusted = await run(['upload', 'f'], { https_proxy: proxy.url });
  assert.equal(untrusted.code, 7);
  assert.match(untrusted.stderr, /--ca FILE/);
});

test('HTTP_PROXY and ALL_PROXY apply to this machine too, unless NO_PROXY lists it', async (t) => {
  const { server, proxy, run } = await setUp(t);
  for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']) {
    proxy.seen.length = 0;
    const { code, stderr } = await run(['ls'], { [name]: proxy.url });
    assert.equal(code, 0, stderr);
    assert.ok(proxy.seen.length > 0, name);
  }
  for (const name of ['NO_PROXY', 'no_proxy']) {
    proxy.seen.length = 0;
    assert.equal((await run(['ls'], { HTTP_PROXY: proxy.url, [name]: '127.0.0.1' })).code, 0);
    assert.deepEqual(proxy.seen, [], name);
  }
  assert.equal((await run(['ls'], { HTTPS_PROXY: proxy.url })).code, 0);
  assert.deepEqual(proxy.seen, []);
  const client = connect({ server: server.origin, token: server.client.token, env: { http_proxy: proxy.url } });
  t.after(() => client.close());
  await client.upload(sourceOf(bytesOf(200_000)), { name: 'by the library' });
  assert.ok(proxy.seen.length > 0);
});

test('a proxy that opens no tunnel to a server without TLS receives absolute URLs', async (t) => {
  const { server, proxy, cwd, run } = await setUp(t);
  proxy.refuse = 403;
  await writeFile(join(cwd, 'f'), bytesOf(100_000));
  const { code, stderr } = await run(['upload', 'f'], { http_proxy: proxy.url });
  assert.equal(code, 0, stderr);
  assert.ok(proxy.seen.some((seen) => seen.startsWith(`POST http://127.0.0.1:${server.port}/api/files/upload?`)));
});

test('a proxy with a password is used, and a refusal or an invalid proxy is reported', async (t) => {
  const { proxy, cwd, run } = await setUp(t);
  await writeFile(join(cwd, 'f'), 'x');
  proxy.authorization = `Basic ${btoa('me:secret')}`;
  const known = proxy.url.replace('//', '//me:secret@');
  assert.equal((await run(['ls'], { HTTP_PROXY: known })).code, 0);
  const unknown = await run(['upload', 'f'], { HTTP_PROXY: proxy.url });
  assert.equal(unknown.code, 7);
  assert.match(unknown.stderr, /proxy 127.*name and a password.*NAME:PASSWORD/);
  const none = await run(['upload', 'f', '--retry-for', '1ms'], { HTTP_PROXY: 'http://127.0.0.1:9' });
  assert.match(none.stderr, /The connection was refused.*through the proxy 127\.0\.0\.1:9/);
  const wrong = await run(['upload', 'f'], { HTTP_PROXY: 'gopher://a' });
  assert.equal(wrong.code, 7);
  assert.match(wrong.stderr, /HTTP_PROXY is not a valid proxy address/);
});
