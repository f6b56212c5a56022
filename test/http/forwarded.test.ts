/** What a proxy says in Forwarded (RFC 7239) reaches the server in the words that it knows. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { readsForwarded } from '../../src/http/forwarded.ts';

test('every element is read, quoted or not, and another chain is believed first', async (t) => {
  const echo = createServer(readsForwarded((request, response) => response.end(JSON.stringify(request.headers))));
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  t.after(() => echo.close());
  const heard = async (headers: Record<string, string>) => {
    const reply = await fetch(`http://127.0.0.1:${(echo.address() as AddressInfo).port}/`, { headers });
    const all = (await reply.json()) as Record<string, string>;
    return [all['x-forwarded-for'], all['x-forwarded-proto'], all['x-forwarded-host']];
  };
  const cases: [string, (string | undefined)[]][] = [
    ['for=192.0.2.60;proto=https;host=files.example.org', ['192.0.2.60', 'https', 'files.example.org']],
    ['For="[2001:db8:cafe::17]:4711"', ['2001:db8:cafe::17', undefined, undefined]],
    ['for=192.0.2.43, for="198.51.100.17:80";proto=http', ['192.0.2.43, 198.51.100.17', 'http', undefined]],
    ['for=_hidden, for=unknown;host="a\\"b,c"', ['_hidden, unknown', undefined, 'a"b,c']],
    ['nonsense', [undefined, undefined, undefined]],
  ];
  for (const [forwarded, expected] of cases) assert.deepEqual(await heard({ forwarded }), expected, forwarded);
  const made = { forwarded: 'for=10.0.0.1;host=evil.example', 'x-forwarded-for': '192.0.2.1' };
  assert.deepEqual(await heard(made), ['192.0.2.1', undefined, undefined]);
  // What the client said beside it is not the proxy's.
  const mixed = { forwarded: 'for=192.0.2.60', 'x-forwarded-host': 'evil.example' };
  assert.deepEqual(await heard(mixed), ['192.0.2.60', undefined, undefined]);
});
