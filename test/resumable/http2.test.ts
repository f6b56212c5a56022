/** Resumable uploads over HTTP/2: the 104 is a separate header block, and the bytes of broken streams count. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer } from '../support/product/server.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { tlsSettings } from '../support/wire/tls.ts';

test('I2 I4 I15 I16 over HTTP/2 an upload gets a 104, breaks, reports its offset and completes', async (t) => {
  const server = await startServer(t, await tlsSettings(await temporaryFolder(t)));
  const session = connect(server.origin, { rejectUnauthorized: false });
  t.after(() => session.destroy());
  await once(session, 'connect');
  const bytes = randomBytes(500_000);
  const draft = { ...server.client.headers, 'upload-draft-interop-version': '8' };
  const first = session.request({
    ...draft,
    ':method': 'PUT',
    ':path': '/api/files/content/h2.bin',
    'upload-complete': '?1',
    'upload-length': String(bytes.length),
  });
  first.on('error', () => {});
  const told = once(first, 'headers') as Promise<[IncomingHttpHeaders & { ':status': number }]>;
  first.write(bytes.subarray(0, 200_000));
  const [interim] = await told;
  assert.equal(interim[':status'], 104);
  assert.equal(interim['upload-draft-interop-version'], '8');
  assert.match(String(interim['upload-limit']), /^max-size=/);
  const path = String(interim.location);
  await eventually(() => server.app.engine.gauges().receiving === 1, 'it receives');
  const ask = async (headers: Record<string, string>, body?: Uint8Array) => {
    const stream = session.request({ ...draft, ...headers, ':path': path });
    stream.end(body);
    const [reply] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
    stream.resume();
    return reply;
  };
  // The request for the offset ends the request that still seems to send.
  const head = await ask({ ':method': 'HEAD' });
  assert.equal(head[':status'], 204);
  const offset = Number(head['upload-offset']);
  assert.ok(offset > 0 && offset <= 200_000, `${offset}`);
  first.destroy();
  const fields = {
    'content-type': 'application/partial-upload',
    'upload-offset': String(offset),
    'upload-complete': '?1',
  };
  const last = await ask({ ':method': 'PATCH', ...fields }, bytes.subarray(offset));
  assert.equal(last[':status'], 200);
  assert.equal(last['upload-complete'], '?1');
  const down = session.request({ ...server.client.headers, ':path': '/api/files/download/h2.bin' });
  const pieces: Buffer[] = [];
  down.on('data', (piece: Buffer) => pieces.push(piece));
  await once(down, 'end');
  assert.ok(Buffer.concat(pieces).equals(bytes));
});
