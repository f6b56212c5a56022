/** The address of an upload may permit continuing it, so no log contains it. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { createLog } from '../../src/http/observe/log.ts';
import { startServer } from '../support/product/server.ts';
import { begin as beginResumable, append as patch } from '../support/wire/resumable.ts';
import { ask, begin, send } from '../support/wire/tus.ts';

test('neither the log nor the audit log contains the secret of an upload', async (t) => {
  const lines = new PassThrough();
  const said = text(lines);
  const server = await startServer(t, { LADING_UPLOAD_RIGHT: 'on' }, { log: createLog('debug', lines) });
  const tus = await begin(server, { 'upload-length': '3' });
  const resumable = await beginResumable(server, 'a');
  assert.equal((await send(server, tus, 9, Buffer.from('x'))).status, 409);
  assert.equal((await patch(server, resumable, 9, 'x', '?0')).status, 409);
  const stranger = { ...server, client: await server.enrol() };
  assert.equal((await ask(stranger, tus, 'DELETE')).status, 404);
  assert.equal((await fetch(tus.replace('.', '%2E'), { method: 'PUT' })).status, 405);
  await server.app.server.inject({ method: 'GET', url: new URL(resumable).pathname });
  const audit = await fetch(`${server.origin}/api/audit`, { headers: server.admin.headers });
  const kept = await audit.text();
  await server.close();
  lines.end();
  const log = await said;
  assert.match(log, /\/api\/uploads\/[0-9a-f]{32}…/);
  for (const url of [tus, resumable]) {
    const secret = url.slice(url.lastIndexOf('.') + 1);
    assert.equal(secret.length, 32);
    assert.ok(!log.includes(secret), 'the log');
    assert.ok(!kept.includes(secret), 'the audit log');
  }
});
