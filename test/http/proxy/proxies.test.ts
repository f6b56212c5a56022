/** The client and the URL of the server as trusted proxies report them, the same for limits, audit, links and cookies. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLog } from '../../../src/http/observe/log.ts';
import { parseForwarded } from '../../../src/http/proxy/forwarded.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { exchange } from '../../support/wire/wire.ts';

const TRUSTS = { LADING_TRUST_PROXY: 'loopback, 10.0.0.0/8, 2001:db8:ffff::/48' };

test('Forwarded is parsed by element, with and without quotes', () => {
  const cases: [string, object[]][] = [
    ['for=192.0.2.60;proto=https;host=a.example', [{ for: '192.0.2.60', proto: 'https', host: 'a.example' }]],
    ['For="[2001:db8::17]:4711"', [{ for: '[2001:db8::17]:4711' }]],
    [
      'for=192.0.2.43, for="198.51.100.17:80" ; proto=http',
      [{ for: '192.0.2.43' }, { for: '198.51.100.17:80', proto: 'http' }],
    ],
    ['for=_a;for=_b', [{ for: '_a' }]],
    ['host="a\\"b,c;d"', [{ host: 'a"b,c;d' }]],
    ['host="open, for=1', [{ host: 'open, for=1' }]],
    ['nonsense', [{}]],
    [',', [{}, {}]],
    ['', [{}]],
  ];
  for (const [field, expected] of cases) assert.deepEqual(parseForwarded(field), expected, field);
});

/** Starts a server and sends requests to it; `heard` returns the address that its log has for a request with these fields. */
async function listening(
  t: TestContext,
  trusts: string,
): Promise<(headers: Record<string, string>) => Promise<unknown>> {
  const lines: Record<string, unknown>[] = [];
  const log = createLog('debug', { write: (line) => void lines.push(JSON.parse(line)) });
  const { origin } = await startServer(t, { LADING_TRUST_PROXY: trusts }, { log });
  return async (headers) => {
    const id = `probe-${lines.length}`;
    await (await fetch(`${origin}/health`, { headers: { ...headers, 'x-request-id': id } })).text();
    const lineOf = () => lines.find(({ request_id: of }) => of === id);
    await eventually(() => lineOf() !== undefined, 'the line of the request');
    return lineOf()?.address;
  };
}

test('the address is the first one in the chain that is not a trusted proxy', async (t) => {
  const heard = await listening(t, TRUSTS.LADING_TRUST_PROXY);
  const cases: [Record<string, string>, string][] = [
    [{}, '127.0.0.1'],
    [{ 'x-forwarded-for': '203.0.113.1:555' }, '203.0.113.1'],
    [{ 'x-forwarded-for': '[2001:DB8::1]:80' }, '2001:db8::1'],
    [{ 'x-forwarded-for': '::ffff:203.0.113.2' }, '203.0.113.2'],
    [{ 'x-forwarded-for': '198.51.100.1, 203.0.113.3' }, '203.0.113.3'],
    [{ 'x-forwarded-for': '198.51.100.1, 203.0.113.4:1, 10.0.0.1:2, 10.0.0.2' }, '203.0.113.4'],
    [{ 'x-forwarded-for': '203.0.113.5,[2001:db8:ffff::1]:4' }, '203.0.113.5'],
    // A client that a proxy hides counts as the proxy.
    [{ 'x-forwarded-for': 'unknown' }, '127.0.0.1'],
    [{ 'x-forwarded-for': '203.0.113.9, _hidden, 10.0.0.1' }, '10.0.0.1'],
    [{ 'x-forwarded-for': 'no address' }, '127.0.0.1'],
    [{ forwarded: 'for="203.0.113.6:47"' }, '203.0.113.6'],
    [{ forwarded: 'for=198.51.100.1, for="[2001:db8::2]:1", for=10.0.0.1' }, '2001:db8::2'],
    [{ forwarded: 'for=_x7' }, '127.0.0.1'],
    [{ forwarded: 'for=198.51.100.1', 'x-forwarded-for': '203.0.113.7' }, '203.0.113.7'],
  ];
  for (const [headers, expected] of cases) {
    assert.equal(await heard(headers), expected, JSON.stringify(headers));
  }
});

test('ranges and addresses of IPv4 match in every notation', async (t) => {
  const mapped = '::ffff:127.0.0.0/104, ::ffff:10.0.0.0/104, ::FFFF:c0a8:0/112, ::ffff:198.51.100.7';
  const heard = await listening(t, mapped);
  const cases: [string, string][] = [
    ['203.0.113.4, 10.255.0.1', '203.0.113.4'],
    ['203.0.113.4, ::ffff:10.0.0.1', '203.0.113.4'],
    ['203.0.113.4, 192.168.255.1', '203.0.113.4'],
    ['203.0.113.4, 198.51.100.7', '203.0.113.4'],
    ['203.0.113.4, 11.0.0.1', '11.0.0.1'],
    ['203.0.113.4, 192.169.0.1', '192.169.0.1'],
    ['203.0.113.4, 198.51.100.8', '198.51.100.8'],
  ];
  for (const [chain, expected] of cases) assert.equal(await heard({ 'x-forwarded-for': chain }), expected, chain);
});

test('fields of an untrusted proxy are ignored', async (t) => {
  const heard = await listening(t, '10.0.0.0/8');
  const headers = { 'x-forwarded-for': '203.0.113.1', forwarded: 'for=203.0.113.1' };
  assert.equal(await heard(headers), '127.0.0.1');
  const { port } = await startServer(t, { LADING_TRUST_PROXY: '10.0.0.0/8' });
  const metadata = await exchange(
    port,
    'GET /.well-known/oauth-authorization-server HTTP/1.1',
    'Host: a.example',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: b.example',
    'X-Forwarded-Prefix: /drive',
  );
  assert.match(metadata.body, /"issuer":"http:\/\/a\.example"/);
});

test('the throttle ignores the port and treats addresses of one IPv6 network as one', async (t) => {
  const { origin, admin } = await startServer(t, TRUSTS);
  const kinds: ((n: number) => Record<string, string>)[] = [
    (n) => ({ 'x-forwarded-for': `203.0.113.1:${1000 + n}` }),
    (n) => ({ 'x-forwarded-for': `[2001:db8::1]:${1000 + n}` }),
    (n) => ({ 'x-forwarded-for': `2001:db8:1::${n + 1}` }),
    (n) => ({ 'x-forwarded-for': `::ffff:203.0.113.2${n % 2 === 0 ? '' : `:${n}`}` }),
    (n) => ({ forwarded: `for="203.0.113.3:${1000 + n}"` }),
    (n) => ({ forwarded: `for=_${n}` }),
  ];
  for (const kind of kinds) {
    const seen: number[] = [];
    for (let n = 0; n < 14; n += 1) {
      const body = new URLSearchParams({ username: admin.id, password: 'wrong' });
      seen.push((await fetch(`${origin}/auth/token`, { method: 'POST', body, headers: kind(n) })).status);
    }
    assert.ok(
      seen.slice(11).every((status) => status === 429),
      `${JSON.stringify(kind(1))}: ${seen}`,
    );
  }
});

test('scheme, host and path come from the outermost trusted proxy', async (t) => {
  const { port } = await startServer(t, TRUSTS);
  const cases: [string[], string][] = [
    [[], 'http://a.example'],
    [['X-Forwarded-Proto: https'], 'https://a.example'],
    [['X-Forwarded-Proto: HTTPS', 'X-Forwarded-Host: b.example:8443'], 'https://b.example:8443'],
    [['X-Forwarded-Proto: https, http', 'X-Forwarded-Host: b.example, inner'], 'https://b.example'],
    [['X-Forwarded-For: 203.0.113.1, 10.0.0.1', 'X-Forwarded-Proto: https, http'], 'https://a.example'],
    // The client forged the first of three values.
    [
      ['X-Forwarded-For: 6.6.6.6, 203.0.113.1, 10.0.0.1', 'X-Forwarded-Host: evil, b.example, inner'],
      'http://b.example',
    ],
    [['X-Forwarded-For: 203.0.113.1, 10.0.0.1', 'X-Forwarded-Proto: https'], 'https://a.example'],
    [['X-Forwarded-Proto: javascript', 'X-Forwarded-Host: a/b'], 'http://a.example'],
    [['X-Forwarded-Port: 8443', 'X-Forwarded-Proto: https'], 'https://a.example:8443'],
    [['X-Forwarded-Port: 443', 'X-Forwarded-Proto: https'], 'https://a.example'],
    [['X-Forwarded-Port: 80'], 'http://a.example'],
    [['X-Forwarded-Port: 443'], 'http://a.example:443'],
    [['X-Forwarded-Host: b.example:81', 'X-Forwarded-Port: 8443'], 'http://b.example:81'],
    [['X-Forwarded-Host: [2001:db8::1]', 'X-Forwarded-Port: 81'], 'http://[2001:db8::1]:81'],
    [['X-Forwarded-For: 203.0.113.1, 10.0.0.1', 'X-Forwarded-Port: 6666, 8443, 8005'], 'http://a.example:8443'],
    [['X-Forwarded-Port: 0'], 'http://a.example'],
    [['X-Forwarded-Port: 65536'], 'http://a.example'],
    [['X-Forwarded-Port: 8443/x'], 'http://a.example'],
    [['X-Forwarded-Prefix: /drive'], 'http://a.example/drive'],
    [['X-Forwarded-Prefix: /drive/'], 'http://a.example/drive'],
    [['X-Forwarded-Prefix: /a, /b'], 'http://a.example/a/b'],
    [['X-Forwarded-Prefix: //evil.example'], 'http://a.example'],
    [['X-Forwarded-Prefix: /..'], 'http://a.example'],
    [['X-Forwarded-Prefix: https://evil.example'], 'http://a.example'],
    [['X-Forwarded-Prefix: /a%20b/%C3%A9'], 'http://a.example/a%20b/%C3%A9'],
    [['X-Forwarded-Prefix: /%2e%2e/x, /drive'], 'http://a.example/drive'],
    [
      ['Forwarded: for=203.0.113.1;proto=https;host="b.example:8443", for=10.0.0.1;proto=http'],
      'https://b.example:8443',
    ],
    [['Forwarded: host=evil, for=203.0.113.1;host=b.example'], 'http://b.example'],
  ];
  for (const [fields, expected] of cases) {
    const head = 'GET /.well-known/oauth-authorization-server HTTP/1.1';
    const { body } = await exchange(port, head, 'Host: a.example', ...fields);
    assert.equal((JSON.parse(body) as { issuer: string }).issuer, expected, fields.join(' | '));
  }
});

test('an invalid or unsafe path of a proxy is ignored', async (t) => {
  const { port, client } = await startServer(t, { ...TRUSTS, LADING_REGISTRATION: 'open' });
  const paths = [
    ...[
      '/%2e%2e',
      '/a/%2E./b',
      '/.%2e',
      '/%2e',
      '/../a',
      '/a/..',
      '/a/./b',
      '//evil.example',
      '/a//b',
      '/a//',
      'drive',
      '\\\\evil',
    ],
    ...[
      '/%2fevil.example',
      '/%5cevil.example',
      '/%5Cevil',
      '/a%00',
      '/a%0d%0aX:y',
      '/a%7f',
      '/%c2%85',
      '/%',
      '/%zz',
      '/%e4',
      '/a\tb',
    ],
    ...[
      '/a;Domain=evil.example',
      '/a%3bSecure',
      '/caf\u00e9',
      '/caf\u00c3\u00a9',
      '/a?b',
      '/a#b',
      '/a"b',
      '/<b>',
      "/a'b",
      '/a&quot',
      '/a\\b',
    ],
    ...[`/${'a'.repeat(256)}`, Array.from({ length: 30 }, () => `/${'a'.repeat(200)}`).join(', ')],
  ];
  const authorization = `Authorization: ${client.headers.authorization}`;
  for (const [index, path] of paths.entries()) {
    const field = `X-Forwarded-Prefix: ${path}`;
    const head = 'GET /.well-known/oauth-authorization-server HTTP/1.1';
    const { body } = await exchange(port, head, 'Host: a.example', field);
    assert.equal((JSON.parse(body) as { issuer: string }).issuer, 'http://a.example', path.slice(0, 80));
    const tus = ['Tus-Resumable: 1.0.0', `Upload-Length: 1`, `Upload-Metadata: filename ${btoa(`f${index}`)}`];
    const post = ['POST /files HTTP/1.1', 'Host: a.example', authorization, 'Content-Length: 0'] as const;
    const made = await exchange(port, ...post, ...tus, field);
    assert.equal(made.status, 201, path.slice(0, 80));
    assert.match(made.headers.location ?? '', /^(?:http:\/\/a\.example)?\/files\/[\w.-]+$/, path.slice(0, 80));
  }
});

test('a page behind a TLS proxy signs in with the scheme in Origin alone', async (t) => {
  const { port } = await startServer(t, TRUSTS);
  const login = (...fields: string[]) =>
    exchange(port, 'POST /v1/auth/login HTTP/1.1', 'Host: a.example', 'Content-Length: 0', ...fields);
  const own = ['Origin: https://a.example', 'X-Forwarded-Proto: https'];
  assert.notEqual((await login(...own)).status, 403);
  assert.equal((await login('Origin: https://b.example', 'X-Forwarded-Proto: https')).status, 403);
});
