/** Helpers of the tests of calls. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { CallRequested, CallStatus } from '../../../src/protocol/schemas/identity/call.ts';
import { eventually } from '../../support/eventually.ts';
import { handClock } from '../../support/product/clock.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { type PlacedCall, startVoiceProvider, type VoiceProvider } from '../../support/servers/voice-provider.ts';

export const PHONE = '+14155552671';

export type Headers = Record<string, string>;

export function post({ origin, client }: TestServer, path: string, body: object, headers: Headers = client.headers) {
  return fetch(`${origin}${path}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

export async function begin(t: TestContext, settings: Headers = {}) {
  const provider = await startVoiceProvider(t);
  const clock = handClock();
  const all = { ...provider.settings, ...settings };
  const server = await startServer(t, all, { clock });
  return { provider, server, clock, settings: all };
}

export async function request(
  server: TestServer,
  provider: VoiceProvider,
  body: object = { phone: PHONE },
  headers?: Headers,
) {
  const before = provider.placed.length;
  const reply = await post(server, '/calls/otp', body, headers);
  assert.equal(reply.status, 200, await reply.clone().text());
  await eventually(() => provider.placed.length > before, 'the call');
  return { reply: (await reply.json()) as CallRequested, call: provider.placed.at(-1) as PlacedCall };
}

export async function statusOf({ origin, client }: TestServer, phone = PHONE): Promise<CallStatus> {
  const reply = await fetch(`${origin}/calls/otp/status/${encodeURIComponent(phone)}`, { headers: client.headers });
  assert.equal(reply.status, 200, await reply.clone().text());
  return (await reply.json()) as CallStatus;
}
