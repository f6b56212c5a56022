/** SOCKS proxies from environment variables, with a real proxy. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer, type TestSettings } from '../../support/product/server.ts';
import { authority, noOpenssl } from '../../support/servers/certificates.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';
import { startSocksProxy } from '../../support/servers/socks-proxy.ts';
import { bytesOf } from '../../support/tables/fixtures.ts';

async function setUp(t: TestContext, settings: TestSettings = {}, origin = 'http://127.0.0.1') {
  const server = await startServer(t, settings);
  const proxy = await startSocksProxy(t);
  const cwd = await temporaryFolder(t);
  const LADING_SERVER = `${origin}:${server.port}`;
  const run = (args: string[], env: Record<string, string>) =>
    runCli(t, args, { cwd, env: { LADING_SERVER, LADING_TOKEN: server.client.token, ...env } });
  return { server, proxy, cwd, run };
}

test('uploads and downloads work through a SOCKS proxy, with and without TLS', {
  skip: noOpenssl,
}, async (t) => {
  const { sign, caPath } = authority(t);
  const { certPath, keyPath } = sign();
  for (const secure of [false, true]) {
    const settings = secure ? { LADING_TLS_CERT: certPath, LADING_TLS_KEY: keyPath } : {};
    const { server, proxy, cwd, run } = await setUp(t, settings, secure ? 'https://127.0.0.1' : 'http://127.0.0.1');
    const bytes = bytesOf(300_000);
    await writeFile(join(cwd, 'f'), bytes);
    const env = { ALL_PROXY: `socks5://${proxy.host}`, ...(secure ? { LADING_CA: caPath } : {}) };
    const sent = await run(['upload', 'f', '--chunk-size', '64K'], env);
    assert.equal(sent.code, 0, sent.stderr);
    assert.doesNotMatch(sent.stderr, /warning/i);
    assert.equal((await run(['download', 'f', '-o', 'g'], env)).code, 0);
    assert.deepEqual(await readFile(join(cwd, 'g')), Buffer.from(bytes));
    assert.ok(proxy.seen.length >= 2);
    for (const seen of proxy.seen) assert.equal(seen, `5 address 127.0.0.1:${server.port}`);
    if (!secure) continue;
    const untrusted = await run(['ls'], { all_proxy: `socks5://${proxy.host}` });
    assert.equal(untrusted.code, 7);
    assert.match(untrusted.stderr, /--ca FILE/);
  }
});

test('the scheme selects the SOCKS version and whether the proxy resolves the host name', async (t) => {
  const { server, proxy, run } = await setUp(t, {}, 'http://localhost');
  for (const [scheme, seen] of [
    ['socks5', /^5 address (127\.0\.0\.1|0{4}.*1):/],
    ['socks5h', /^5 name localhost:/],
    ['socks', /^5 name localhost:/],
    ['socks4', /^4 address 127\.0\.0\.1:/],
    ['socks4a', /^4 name localhost:/],
  ] as const) {
    proxy.seen.length = 0;
    const { code, stderr } = await run(['ls'], { ALL_PROXY: `${scheme}://${proxy.host}` });
    // The name may resolve to an IPv6 address, on which the server does not listen.
    if (proxy.seen[0]?.includes('0000') !== true) assert.equal(code, 0, `${scheme}: ${stderr}`);
    assert.match(proxy.seen[0] ?? '', seen, scheme);
    assert.ok(proxy.seen[0]?.endsWith(`:${server.port}`));
  }
});

test('a SOCKS proxy with a password is used, and refusals and unreachable proxies are reported', async (t) => {
  const { server, proxy, cwd, run } = await setUp(t);
  await writeFile(join(cwd, 'f'), 'x');
  proxy.login = 'me:p@ss';
  assert.equal((await run(['ls'], { ALL_PROXY: `socks5://me:p%40ss@${proxy.host}` })).code, 0);
  for (const named of ['', 'me:wrong@']) {
    const { code, stderr } = await run(['upload', 'f'], { ALL_PROXY: `socks5h://${named}${proxy.host}` });
    assert.equal(code, 7);
    assert.match(stderr, /The proxy 127.*valid name and password.*socks5:\/\/NAME:PASSWORD/);
  }
  proxy.login = null;
  proxy.refuse = 2;
  const forbidden = await run(['upload', 'f'], { HTTP_PROXY: `socks5://${proxy.host}` });
  assert.equal(forbidden.code, 7);
  assert.match(forbidden.stderr, /its rules forbid it/);
  proxy.refuse = 5;
  const refused = await run(['upload', 'f', '--retry-for', '1ms'], { ALL_PROXY: `socks5://${proxy.host}` });
  assert.equal(refused.code, 7);
  assert.match(refused.stderr, /the server refused its connection/);
  for (const version of [4, 5]) {
    // The server itself speaks HTTP, not SOCKS.
    const wrong = await run(['upload', 'f', '--retry-for', '1ms'], {
      ALL_PROXY: `socks${version}://127.0.0.1:${server.port}`,
    });
    assert.equal(wrong.code, 7);
    assert.match(wrong.stderr, /The proxy 127/);
  }
  const none = await run(['upload', 'f', '--retry-for', '1ms'], { ALL_PROXY: 'socks5://127.0.0.1:9' });
  assert.equal(none.code, 7);
  assert.match(none.stderr, /The connection was refused.*through the proxy 127\.0\.0\.1:9/);
});
