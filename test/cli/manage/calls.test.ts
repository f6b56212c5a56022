/** `lading calls` against a real server and a voice provider on loopback. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { runCli } from '../../support/servers/processes.ts';
import { startVoiceProvider } from '../../support/servers/voice-provider.ts';

const PHONE = '+14155552671';

test('calls requests, replays and verifies a code, which counts as a second factor of the token', async (t) => {
  const provider = await startVoiceProvider(t);
  const { origin, admin, client } = await startServer(t, provider.settings);
  const lading = (token: string, ...args: string[]) =>
    runCli(t, ['calls', ...args], { env: { LADING_SERVER: origin, LADING_TOKEN: token } });
  const set = await lading(admin.token, 'phone', 'client', client.id, '+1 415 555 2671');
  assert.deepEqual([set.code, set.stdout.trim()], [0, PHONE], set.stderr);
  assert.equal((await lading(admin.token, 'phone', 'client', client.id)).stdout.trim(), PHONE);
  assert.match(
    (await lading(client.token, 'request', PHONE)).stdout,
    /Calling \+14155552671\. The code is valid for 300 seconds/,
  );
  await eventually(async () => (await lading(client.token, 'status', PHONE)).stdout.includes('spoken'), 'the call');
  assert.equal((await lading(client.token, 'replay', PHONE)).code, 0);
  const code = provider.placed[0]?.code ?? '';
  const wrong = await lading(client.token, 'verify', PHONE, code === '000000' ? '111111' : '000000');
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /Attempts left: 2/);
  const right = await lading(client.token, 'verify', PHONE, code);
  assert.deepEqual([right.code, /second factor until/.test(right.stdout)], [0, true], right.stderr);
  const none = await lading(admin.token, 'phone', 'client', client.id, 'none', '--json');
  assert.deepEqual(JSON.parse(none.stdout), { phone: null });
});
