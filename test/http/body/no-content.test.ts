/** HTTP/2 has no framing fields: a request that ends with its header section corresponds to an HTTP/1.1 request without them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { FILE_WRITES, putOldFile, visibleState } from '../../support/tables/file-writes.ts';
import { ask, type Fields } from '../../support/wire/resumable.ts';
import { tlsSettings } from '../../support/wire/tls.ts';

/** @param ends true if the stream ends with the header section, not with an empty DATA frame */
async function statusOf(session: ClientHttp2Session, headers: Fields, ends: boolean): Promise<number> {
  const stream = session.request(headers, { endStream: ends });
  if (!ends) stream.end();
  const [reply] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
  stream.resume();
  await once(stream, 'close');
  return reply[':status'];
}

test('over HTTP/2 no protocol stores an empty file for a request without content', async (t) => {
  const tls = await tlsSettings(await temporaryFolder(t));
  const server = await startServer(t, { LADING_REGISTRATION: 'open', ...tls });
  const session = connect(server.origin, { rejectUnauthorized: false });
  t.after(() => session.destroy());
  await once(session, 'connect');
  for (const [number, write] of FILE_WRITES.entries()) {
    // total_size=0 declares an empty file without content. For PATCH the offset decides, and for tus the declared size.
    if (write.kind === 'continues' || write.operation === 'POST /files/') continue;
    const name = `nothing${number}.wav`;
    await putOldFile(server, write, name);
    const { method, path, headers, body } = await write.prepare(server, name);
    if (body === undefined) continue;
    const before = await visibleState(server, write, name);
    const signed = { ...server.client.headers, ...(await write.as?.(server)), ...headers };
    const status = await statusOf(session, { ':method': method, ':path': path, ...signed }, true);
    const whole = /content|uploads/.test(write.operation);
    const shown = `${write.operation} ${write.how ?? ''}: ${status}`;
    // A train without chunks changes nothing and is answered with the status.
    const isTrain = write.how === 'as a train';
    assert.ok(isTrain ? status === 200 : whole ? status === 411 : status >= 400 && status < 500, shown);
    assert.equal(await visibleState(server, write, name), before, shown);
  }
  const put = { ...server.client.headers, ':method': 'PUT' };
  const said = { ...put, ':path': '/api/files/content/said', 'content-length': '0' };
  assert.equal(await statusOf(session, said, true), 201, 'Content-Length: 0 says that it is empty');
  const sent = { ...put, ':path': '/api/files/content/sent' };
  assert.equal(await statusOf(session, sent, false), 201, 'so does a frame without bytes');
  for (const complete of ['?1', '1']) {
    const resumable = { ...put, ':path': '/api/files/content/resumed', 'upload-complete': complete };
    assert.equal(await statusOf(session, resumable, true), 411, complete);
    assert.equal((await ask(server, 'HEAD', '/api/files/download/resumed')).status, 404);
  }
  const begun = { ...put, ':path': '/api/files/content/begun', 'upload-complete': '?0' };
  assert.equal(await statusOf(session, begun, true), 201, 'an upload that is only begun has no content');
});
