/** Runs the receiver in examples/ with a different port. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { addHook } from '../support/product/delivering.ts';
import { atEnd, startServer } from '../support/product/server.ts';
import { repoRoot } from '../support/root.ts';
import { ALPHABET, put } from '../support/wire/downloads.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

test('the example receiver accepts signed messages only', async (t) => {
  const server = await startServer(t, { LADING_WEBHOOK_PRIVATE: 'on' });
  const example = await readFile(join(repoRoot(), 'examples/webhook-receiver.mjs'), 'utf8');
  const anyPort = ".listen(0, '127.0.0.1', function () { console.log(this.address().port); });";
  const child = spawn(process.execPath, ['--input-type=module', '-e', example.replace('.listen(9000);', anyPort)], {
    env: { WEBHOOK_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  atEnd(t, async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  const url = `http://127.0.0.1:${await next()}/`;

  const headers = { 'webhook-id': '1', 'webhook-timestamp': String(Math.floor(Date.now() / 1000)) };
  for (const signature of ['v1,AAAA', '']) {
    const reply = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'webhook-signature': signature },
      body: '{}',
    });
    assert.equal(reply.status, 401);
  }
  await addHook(server, url, { secret: SECRET });
  await put(server, 'letters.txt', 0, ALPHABET, { total_size: '26' });
  assert.match(await next(), /^\S+ file\.completed letters\.txt$/);
});
