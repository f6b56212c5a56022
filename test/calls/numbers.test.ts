/** Users supply telephone numbers only. The host that places a call comes from the settings. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { phoneOf } from '../../src/calls/numbers.ts';
import { providerVoice } from '../../src/calls/provider.ts';
import { LadingError } from '../../src/errors.ts';
import { outgoingAgent } from '../../src/outgoing/http.ts';
import { startServer } from '../support/product/server.ts';
import { operationsOf } from '../support/tables/openapi.ts';

const HOSTS = ['127.0.0.1', '127.0.0.1:5060', '10.0.0.1', '[::1]', 'localhost', 'pbx.internal', 'evil.example'];

test('a telephone number cannot contain a host, in any notation', () => {
  const written = HOSTS.flatMap((host) => [
    `sip:+14155552671@${host}`,
    `+14155552671@${host}`,
    `+14155552671;maddr=${host}`,
    `+14155552671;phone-context=${host}`,
    `tel:+14155552671;phone-context=${host}`,
    `+14155552671>,<sip:1@${host}`,
    `+14155552671\r\nRoute: <sip:${host};lr>`,
    `+14155552671?Route=%3Csip:${host}%3E`,
    `+14155552671 x ${host}`,
    `+1415555${host}`,
  ]);
  for (const text of written) {
    try {
      assert.match(phoneOf(text), /^\+\d{7,15}$/, text);
    } catch (error) {
      assert.ok(error instanceof LadingError && error.code === 'invalid_request', `${text}: ${error}`);
    }
  }
});

test('no operation accepts the host of a SIP server or voice provider', async (t) => {
  const { origin } = await startServer(t);
  const accepted = (await operationsOf(origin)).flatMap(({ name, parameters, body }) =>
    [...parameters.map((one) => one.name), ...Object.keys((body?.properties ?? {}) as object)]
      .filter((field) => /sip|voice|registrar|proxy|outbound|domain/i.test(field))
      .map((field) => `${name} ${field}`),
  );
  assert.deepEqual(accepted, []);
});

test('a redirect by the voice provider is not followed', async (t) => {
  let followed = 0;
  const other = createServer((_request, response) => {
    followed += 1;
    response.end();
  }).listen(0, '127.0.0.1');
  await once(other, 'listening');
  const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`;
  const provider = createServer((_request, response) => response.writeHead(307, { location }).end());
  provider.listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const agent = outgoingAgent({ trusted: [url], allowPrivate: false, timeoutMs: 5000 });
  const voice = providerVoice({ url, account: 'A', token: 'b', from: '+14155550100', callback: null }, agent);
  t.after(async () => {
    await voice.close();
    other.close();
    provider.close();
  });
  const call = { id: 'x', to: '+14155552671', message: null, code: '123456' };
  await assert.rejects(voice.speak(call, new AbortController().signal), /answered 307/);
  assert.equal(followed, 0);
});
