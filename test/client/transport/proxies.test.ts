import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkError } from '../../../src/client/transport/failures.ts';
import { authorizationOf, proxyFor } from '../../../src/client/transport/proxies.ts';

const plain = new URL('http://files.example.org:8005/');
const secure = new URL('https://files.example.org/');

function host(url: URL, env: Record<string, string>): string | null {
  return proxyFor(url, env)?.host ?? null;
}

test('each scheme has its own variable, lowercase names take precedence, and ALL_PROXY is the fallback', () => {
  assert.equal(host(plain, {}), null);
  assert.equal(host(plain, { HTTP_PROXY: 'http://a:1' }), 'a:1');
  assert.equal(host(plain, { HTTPS_PROXY: 'http://a:1' }), null);
  assert.equal(host(secure, { HTTP_PROXY: 'http://a:1' }), null);
  assert.equal(host(secure, { HTTPS_PROXY: 'http://a:1', https_proxy: 'http://b:1' }), 'b:1');
  assert.equal(host(plain, { ALL_PROXY: 'http://c:1' }), 'c:1');
  assert.equal(host(secure, { ALL_PROXY: 'http://c:1', https_proxy: '' }), 'c:1');
  assert.equal(host(secure, { all_proxy: 'http://c:1', HTTPS_PROXY: 'b:3128' }), 'b:3128');
});

test('NO_PROXY lists hosts with their subdomains, ports, networks or all hosts', () => {
  const through = (address: string, no_proxy: string) => host(new URL(address), { ALL_PROXY: 'p:1', no_proxy });
  for (const [address, list] of [
    ['http://files.example.org', 'example.org'],
    ['http://files.example.org', 'a.test, .example.org'],
    ['http://files.example.org', '*.example.org'],
    ['http://FILES.example.org', 'files.EXAMPLE.org'],
    ['http://files.example.org:8005', 'example.org:8005'],
    ['https://files.example.org', 'example.org:443'],
    ['http://127.0.0.1:8005', '127.0.0.1'],
    ['http://10.1.2.3', '192.0.2.1,10.0.0.0/8'],
    ['http://[::1]:8005', '::1'],
    ['http://[::1]:8005', '[::1]:8005'],
    ['http://[fd00::1]', 'fd00::/8'],
    ['http://files.example.org', '*'],
  ] as const) {
    assert.equal(through(address, list), null, `${address} ${list}`);
  }
  for (const [address, list] of [
    ['http://example.org', 'files.example.org'],
    ['http://badexample.org', 'example.org'],
    ['http://files.example.org:8005', 'example.org:80'],
    ['http://localhost:8005', ''],
    ['http://11.1.2.3', '10.0.0.0/8,nonsense/8,10.0.0.0/99'],
    ['http://7.127.0.0.1.example', '127.0.0.1'],
  ] as const) {
    assert.equal(through(address, list), 'p:1', `${address} ${list}`);
  }
});

test('an invalid proxy is a final error, and the name and password of a valid one are sent', () => {
  for (const value of ['ftp://a:1', 'http://', 'http://a:99999']) {
    assert.throws(
      () => proxyFor(plain, { http_proxy: value }),
      (error) => error instanceof NetworkError && error.final,
    );
  }
  assert.equal(authorizationOf(new URL('http://a:1')), null);
  assert.equal(authorizationOf(new URL('http://me:p%40ss@a:1')), `Basic ${btoa('me:p@ss')}`);
  for (const [given, sent] of [
    ['me:p%40ss', 'me:p@ss'],
    ['me:100%', 'me:100%'],
    ['us%er:%ff', 'us%er:%ff'],
  ] as const) {
    const proxy = proxyFor(plain, { http_proxy: `http://${given}@a:1` });
    assert.ok(proxy);
    assert.equal(authorizationOf(proxy), `Basic ${btoa(sent)}`);
  }
});
