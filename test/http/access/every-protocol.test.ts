/**
 * The rules of RFC 9110 for requests that change a file, for every protocol: preconditions (§13), parts (§14.5) and codings (§8.4). No file is
 * replaced unless the request says so. The operations come from the OpenAPI document; one without a row fails the test.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import {
  etagOf,
  FILE_WRITES,
  type FileWrite,
  NEW,
  OLD,
  putOldFile,
  sendPrepared,
  visibleState,
} from '../../support/tables/file-writes.ts';
import { ask, content, type Fields } from '../../support/wire/resumable.ts';
import { Wire } from '../../support/wire/wire.ts';

const EARLIER = 'Tue, 15 Nov 1994 08:12:31 GMT';
const LATER = 'Sun, 07 Nov 2094 08:49:37 GMT';

const OPEN = { LADING_REGISTRATION: 'open' };

/** Operations that are not safe, but change no file. */
const NO_DOORS = new Set([
  'POST /auth/token',
  'POST /api/oauth/token',
  'POST /api/oauth/revoke',
  'POST /api/oauth/introspect',
  'POST /calls/provider/{session_id}',
  'POST /v1/auth/registration',
  'POST /v1/auth/refresh',
  'POST /v1/auth/logout',
  'POST /v1/auth/login',
  'POST /v1/auth/oidc/login',
  'POST /v1/auth/yandex/login',
  'POST /ops/signup',
  'POST /ops/login',
  'POST /client/signup',
  'POST /client/login',
  'POST /api/files/verify/{filename}',
  'POST /api/files/share/{filename}',
  'POST /api/clients',
  'PUT /api/clients/{client_id}',
  'DELETE /api/clients/{client_id}',
  'POST /api/sweep',
  'POST /api/tenants',
  'DELETE /api/tenants/{tenant_id}',
  'PUT /v1/auth/me',
  'POST /v1/user',
  'POST /v1/user/get_user',
  'PUT /v1/user/update_user',
  'DELETE /v1/user/delete_user',
  'PUT /api/quotas/{kind}/{id}',
  'DELETE /v1/auth/sessions',
  'DELETE /v1/auth/sessions/{session_id}',
  'DELETE /api/shares/{share_id}',
  'POST /api/files/player/{filename}',
  'DELETE /api/players/{player_id}',
  'POST /api/grants',
  'DELETE /api/grants/{grant_id}',
  'POST /api/deliveries/targets',
  'DELETE /api/deliveries/targets/{target_id}',
  'PATCH /api/deliveries/targets/{target_id}',
  'POST /api/deliveries/{id}/retry',
  'PUT /api/phones/{kind}/{id}',
  'POST /api/tokens',
  'POST /api/tokens/{token_id}/rotate',
  'DELETE /api/tokens/{token_id}',
  'POST /calls/otp',
  'POST /calls/verify',
  'POST /calls/otp/verify',
  'POST /calls/replay',
  'POST /calls/otp/replay',
]);

const label = ({ operation, how }: FileWrite): string => (how === undefined ? operation : `${operation}, ${how}`);

/** Unique names, with the extension that one of the routes requires. */
let names = 0;
function freshName(): string {
  names += 1;
  return `f${names}.wav`;
}

async function refusedUnchanged(
  server: TestServer,
  write: FileWrite,
  name: string,
  fields: Fields,
  statuses: readonly number[],
): Promise<void> {
  const prepared = await write.prepare(server, name);
  const before = await visibleState(server, write, name);
  const heard = await sendPrepared(server, write, prepared, fields);
  const shown = `${label(write)} ${JSON.stringify(fields)}: ${heard.status} ${heard.body}`;
  assert.ok(statuses.includes(heard.status), shown);
  assert.equal(await visibleState(server, write, name), before, shown);
  // The upload still exists and continues.
  if (write.kind === 'continues') {
    const done = await sendPrepared(server, write, prepared);
    assert.ok(write.successStatuses.includes(done.status), `${shown}, then ${done.status} ${done.body}`);
  }
}

test('every operation that is not safe has a row, or changes no file', async (t) => {
  const { origin } = await startServer(t, OPEN);
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { parameters?: { name: string }[] }>>;
  };
  const rows = new Set(FILE_WRITES.map(({ operation }) => operation));
  const missing: string[] = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, { parameters = [] }] of Object.entries(item)) {
      const operation = `${method.toUpperCase()} ${path}`;
      if (['get', 'head', 'options'].includes(method) || NO_DOORS.has(operation)) continue;
      if (!rows.delete(operation)) {
        missing.push(operation);
        continue;
      }
      const documented = parameters.map(({ name }) => name);
      for (const field of ['If-Match', 'If-None-Match', 'If-Unmodified-Since'])
        assert.ok(documented.includes(field), `${operation} does not document ${field}`);
    }
  }
  assert.deepEqual(missing, []);
  assert.deepEqual([...rows], [], 'rows of operations that are not in the document');
});

test('every protocol answers a failed precondition with 412 and changes nothing', async (t) => {
  const server = await startServer(t, OPEN);
  for (const write of FILE_WRITES) {
    // An operation that only creates would be 409 because the name exists.
    const creates = write.kind === 'creates';
    for (const make of [
      (etag: string): Fields => ({ 'if-match': creates ? etag || '*' : '"stale"' }),
      (etag: string): Fields => ({ 'if-match': creates ? '*' : `"stale", W/${etag}` }),
      (): Fields => (creates ? { 'if-match': '"x", "y"' } : { 'if-unmodified-since': EARLIER }),
      (etag: string): Fields => (creates ? { 'if-match': '' } : { 'if-none-match': etag }),
      (): Fields => (creates ? { 'if-match': 'nonsense' } : { 'if-none-match': '*' }),
    ]) {
      const name = freshName();
      if (!creates) await putOldFile(server, write, name);
      await refusedUnchanged(server, write, name, make(await etagOf(server, write, name)), [412]);
      if (!creates && write.kind !== 'continues' && write.as === undefined)
        assert.ok((await content(server, name)).equals(OLD));
    }
  }
});

test('every protocol accepts a precondition that holds', async (t) => {
  const server = await startServer(t, OPEN);
  for (const write of FILE_WRITES) {
    const creates = write.kind === 'creates';
    for (const make of [
      (etag: string): Fields => (creates ? { 'if-none-match': '*' } : { 'if-match': etag }),
      (etag: string): Fields => (creates ? { 'if-none-match': '"other"' } : { 'if-match': `"other" , ${etag}` }),
      (): Fields => (creates ? { 'if-unmodified-since': EARLIER } : { 'if-match': '*' }),
      (): Fields => ({ 'if-unmodified-since': LATER }),
      (): Fields => ({ 'if-unmodified-since': 'nonsense' }),
      // RFC 9110 §13.1.3 and §13.1.4: ignored with other methods than GET and HEAD, and beside If-Match.
      (): Fields => ({ 'if-modified-since': LATER }),
      (etag: string): Fields =>
        creates ? { 'if-modified-since': EARLIER } : { 'if-match': etag, 'if-unmodified-since': EARLIER },
    ]) {
      const name = freshName();
      if (!creates) await putOldFile(server, write, name);
      const prepared = await write.prepare(server, name);
      const fields = make(await etagOf(server, write, name));
      const heard = await sendPrepared(server, write, prepared, fields);
      const shown = `${label(write)} ${JSON.stringify(fields)}: ${heard.status} ${heard.body}`;
      assert.ok(write.successStatuses.includes(heard.status), shown);
    }
  }
});

test('no protocol replaces an existing file unless the request says so', async (t) => {
  const server = await startServer(t, OPEN);
  for (const write of FILE_WRITES.filter(({ kind }) => kind === 'creates')) {
    const name = freshName();
    await putOldFile(server, write, name);
    const before = await visibleState(server, write, name);
    const heard = await sendPrepared(server, write, await write.prepare(server, name));
    assert.equal(heard.status, write.takenStatus ?? 409, `${label(write)}: ${heard.body}`);
    assert.equal(await visibleState(server, write, name), before, label(write));
    for (const fields of [{ 'if-none-match': '*' }, { 'if-match': '"stale"' }] as Fields[]) {
      const refused = await sendPrepared(server, write, await write.prepare(server, name), fields);
      assert.equal(
        refused.status,
        label(write).includes('without overwrite') ? 409 : 412,
        `${label(write)}: ${refused.body}`,
      );
      assert.equal(await visibleState(server, write, name), before, label(write));
    }
  }
});

test('a refused request does not affect a running replacement, and the old file still counts', async (t) => {
  const server = await startServer(t, OPEN);
  for (const write of FILE_WRITES.filter(({ kind }) => kind === 'replaces' || kind === 'removes')) {
    const name = freshName();
    await putOldFile(server, write, name);
    const etag = await etagOf(server, write, name);
    const half = NEW.subarray(0, 100);
    const begun = await ask(
      server,
      'POST',
      `/api/files/upload?filename=${name}&overwrite=true&total_size=${NEW.length}`,
      { headers: { 'content-type': 'application/octet-stream' }, body: encodeChunk(0, half) },
    );
    assert.equal(begun.status, 200, begun.body);
    // A further chunk of the same replacement ignores the precondition.
    const stale = [400, 409, 412];
    const isChunk = write.operation === 'POST /api/files/upload';
    const before = await visibleState(server, write, name);
    const heard = await sendPrepared(server, write, await write.prepare(server, name), { 'if-match': '"stale"' });
    if (!isChunk) {
      assert.ok(stale.includes(heard.status), `${label(write)}: ${heard.status} ${heard.body}`);
      assert.equal(await visibleState(server, write, name), before, label(write));
    }
    if (write.kind !== 'removes') continue;
    const done = await sendPrepared(server, write, await write.prepare(server, name), { 'if-match': etag });
    assert.deepEqual([done.status, JSON.parse(done.body).removed], [200, ['file', 'upload']]);
  }
});

test('every protocol refuses encoded and partial content and changes nothing', async (t) => {
  const server = await startServer(t, OPEN);
  for (const write of FILE_WRITES) {
    const name = freshName();
    await putOldFile(server, write, name);
    const range = { 'content-range': `bytes 600-${NEW.length - 1}/${NEW.length}` };
    for (const [fields, status] of [
      [{ 'content-encoding': 'gzip' }, 415],
      [{ 'content-encoding': 'identity, br' }, 415],
      [range, 400],
      [{ 'transfer-encoding': 'gzip, chunked' }, 501],
    ] as [Fields, number][]) {
      // A chunk whose Content-Range differs from its header is also 400; an empty file has no chunk.
      const statuses = fields === range && write.ranged ? [400, 409] : [status];
      const again = write.kind === 'continues' ? freshName() : name;
      if (again !== name) await putOldFile(server, write, again);
      await refusedUnchanged(server, write, again, fields, statuses);
    }
  }
});

test('no protocol stores an empty file for a request without content', async (t) => {
  const server = await startServer(t, OPEN);
  for (const write of FILE_WRITES) {
    // total_size=0 declares an empty file without content. For PATCH the offset decides, and for tus the declared size.
    if (write.kind === 'continues' || write.operation === 'POST /files/') continue;
    const name = freshName();
    await putOldFile(server, write, name);
    const { method, path, headers, body } = await write.prepare(server, name);
    if (body === undefined) continue;
    const before = await visibleState(server, write, name);
    const said = Object.entries({ ...server.client.headers, ...(await write.as?.(server)), ...headers });
    const wire = await Wire.open(server.port);
    wire.head(`${method} ${path} HTTP/1.1`, 'Host: a', ...said.map(([field, value]) => `${field}: ${value}`));
    const { status } = await wire.response();
    wire.socket.destroy();
    const whole = /content|uploads/.test(write.operation);
    assert.ok(whole ? status === 411 : status < 500, `${label(write)}: ${status}`);
    assert.equal(await visibleState(server, write, name), before, label(write));
  }
  const empty = await ask(server, 'PUT', '/api/files/content/empty');
  assert.equal(empty.status, 201, 'Content-Length: 0 says that it is empty');
});
