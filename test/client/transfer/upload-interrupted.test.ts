import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LadingError } from '../../../src/client/client.ts';
import type { UploadOptions } from '../../../src/client/transfer/upload.ts';
import { startServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { type Rule, startProxy } from '../../support/servers/proxy.ts';
import { bytesOf, clientOf, collect, deviceOf, QUICK, sourceOf } from '../../support/tables/fixtures.ts';

const KIB = 1024;
const options = (over: Partial<UploadOptions> = {}): UploadOptions => ({
  name: 'f',
  chunkSize: 64 * KIB,
  ...QUICK,
  ...over,
});

test('chunks shrink until they pass a link that cuts large ones', async (t) => {
  const server = await startServer(t);
  const proxy = await startProxy(t, server.port, () => ({ cutAfterSent: 100 * KIB }));
  const bytes = bytesOf(1024 * KIB);
  const retries: number[] = [];
  const { sent } = await deviceOf(t, server, proxy.origin).upload(
    sourceOf(bytes),
    options({ chunkSize: 512 * KIB, parallel: 2, onRetry: ({ attempt }) => retries.push(attempt) }),
  );
  assert.equal(sent, bytes.length);
  assert.ok(proxy.cuts > 3 && retries.length > 3);
  assert.deepEqual(await collect((await deviceOf(t, server).download('f')).body), Buffer.from(bytes));
});

test('an upload completes when replies to chunks are lost', async (t) => {
  const server = await startServer(t);
  const direct = deviceOf(t, server);
  const bytes = bytesOf(512 * KIB);
  // Every other connection loses its reply. The others work, so that the status can be requested.
  const proxy = await startProxy(t, server.port, (n) => (n % 2 === 0 ? { cutAfterReceived: 0 } : {}));
  const { status } = await deviceOf(t, server, proxy.origin).upload(sourceOf(bytes), options({ parallel: 2 }));
  assert.equal(status.status, 'complete');
  assert.ok(proxy.cuts > 0);
  assert.deepEqual(await collect((await direct.download('f')).body), Buffer.from(bytes));
});

test('a replacement whose first reply is lost is not created twice', async (t) => {
  const server = await startServer(t);
  const direct = deviceOf(t, server);
  await direct.upload(sourceOf(bytesOf(100)), options());
  const bytes = bytesOf(30 * KIB, 2);
  // The first connection carries the status request and the only chunk of the replacement, whose reply is lost.
  let lost = 0;
  const proxy = await startProxy(t, server.port, (n) => {
    if (n !== 1) return {};
    lost += 1;
    return { cutAfterSent: 31 * KIB };
  });
  const { status } = await deviceOf(t, server, proxy.origin).upload(sourceOf(bytes), options({ overwrite: true }));
  assert.equal(lost, 1);
  assert.equal(status.total_bytes, bytes.length);
  assert.deepEqual(await collect((await direct.download('f')).body), Buffer.from(bytes));
});

test('stalled connections are abandoned, and the upload continues over others', async (t) => {
  // The server must notice the stalled connections too, because they reserve their ranges.
  const server = await startServer(t, { LADING_IDLE_SECONDS: '1' });
  const proxy = await startProxy(t, server.port, (n) => (n <= 3 ? { stallAfterSent: 100 * KIB } : {}));
  const client = clientOf(t, { server: proxy.origin, token: server.client.token, idleMs: 400 });
  const bytes = bytesOf(1024 * KIB);
  const { status } = await client.upload(sourceOf(bytes), options({ parallel: 2 }));
  assert.equal(status.status, 'complete');
  assert.ok(proxy.connections > 3);
  assert.deepEqual(await collect((await deviceOf(t, server).download('f')).body), Buffer.from(bytes));
});

test('an upload signs in again and continues after the server restarts with a different signing key', async (t) => {
  const dataDir = await temporaryFolder(t);
  const first = await startServer(t, { LADING_JWT_SECRET: 'the first key, which is long enough for it' }, {}, dataDir);
  const { id, secret } = first.client;
  const proxy = await startProxy(t, first.port);
  const client = clientOf(t, { server: proxy.origin, clientId: id, clientSecret: secret });
  const bytes = bytesOf(1024 * KIB);
  const restarts: Promise<() => Promise<void>>[] = [];
  const onProgress: UploadOptions['onProgress'] = ({ done }) => {
    if (done < 512 * KIB || restarts.length > 0) return;
    const restart = async () => {
      await first.close();
      const second = await startServer(
        t,
        { LADING_JWT_SECRET: 'the second key, which is long enough too' },
        {},
        dataDir,
      );
      proxy.target = second.port;
      proxy.sever();
      return second.close;
    };
    restarts.push(restart());
  };
  // Reads of the second half of the file wait for the restart.
  const source = sourceOf(bytes, { check: async () => void (await restarts[0]) });
  const { status } = await client.upload(source, options({ parallel: 2, onProgress }));
  assert.equal(status.bytes_received, bytes.length);
  assert.deepEqual(await collect((await client.download('f')).body), Buffer.from(bytes));
  const [stopSecond] = await Promise.all(restarts);
  assert.ok(stopSecond);
  await stopSecond();
});

test('an upload starts over after it was deleted on the server', async (t) => {
  const server = await startServer(t);
  const client = deviceOf(t, server);
  const bytes = bytesOf(512 * KIB);
  let removed: Promise<void> | null = null;
  const onProgress: UploadOptions['onProgress'] = ({ done }) => {
    if (done >= 256 * KIB) removed ??= client.remove('f');
  };
  const source = sourceOf(bytes, { check: async () => void (await removed) });
  const { status } = await client.upload(source, options({ parallel: 2, onProgress }));
  assert.notEqual(removed, null);
  assert.equal(status.status, 'complete');
  assert.deepEqual(await collect((await client.download('f')).body), Buffer.from(bytes));
});

test('an upload fails with file_complete when another client stores different content', async (t) => {
  const server = await startServer(t);
  const client = deviceOf(t, server);
  const [mine, theirs] = [bytesOf(256 * KIB), bytesOf(256 * KIB, 2)];
  let other: Promise<unknown> | null = null;
  const onProgress: UploadOptions['onProgress'] = ({ done }) => {
    if (done < 64 * KIB) return;
    other ??= (async () => {
      await client.remove('f');
      await client.upload(sourceOf(theirs), options());
    })();
  };
  const source = sourceOf(mine, { check: async () => void (await other) });
  await assert.rejects(
    client.upload(source, options({ parallel: 1, onProgress })),
    (error: unknown) => error instanceof LadingError && error.code === 'file_complete',
  );
  assert.deepEqual(await collect((await client.download('f')).body), Buffer.from(theirs));
});

test('the file is correct after any sequence of connection failures', async (t) => {
  const server = await startServer(t);
  const rules = fc.array(
    fc.oneof(
      fc.record({ cutAfterSent: fc.nat(150 * KIB) }),
      fc.record({ cutAfterReceived: fc.nat(1500) }),
      fc.constant({ refuse: true }),
      fc.constant({}),
    ),
    { maxLength: 25 },
  );
  const proxy = await startProxy(t, server.port);
  const device = deviceOf(t, server, proxy.origin);
  const direct = deviceOf(t, server);
  let files = 0;
  const shape = {
    size: fc.nat(300 * KIB),
    chunkSize: fc.integer({ min: 3000, max: 200 * KIB }),
    parallel: fc.integer({ min: 1, max: 5 }),
  };
  await fc.assert(
    fc.asyncProperty(rules, fc.record(shape), async (plan: Rule[], { size, chunkSize, parallel }) => {
      files += 1;
      const name = `file ${files}`;
      const bytes = bytesOf(size, files);
      const from = proxy.connections;
      proxy.sever();
      proxy.rule = (n) => plan[n - from - 1] ?? {};
      await device.upload(sourceOf(bytes), options({ name, chunkSize, parallel }));
      assert.deepEqual(await collect((await direct.download(name)).body), Buffer.from(bytes));
    }),
    { numRuns: 15 },
  );
});
