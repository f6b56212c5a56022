/** Uploads with curl: one-shot, and resumable uploads of HTTP. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../support/product/server.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { runProgram, without } from '../support/servers/programs.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { content } from '../support/wire/resumable.ts';

async function ready(t: Parameters<typeof startServer>[0]) {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const auth = ['-sS', '-H', `Authorization: ${server.client.headers.authorization}`];
  const bytes = randomBytes(3_000_000);
  const path = join(folder, 'a b.bin');
  await writeFile(path, bytes);
  return { server, folder, auth, bytes, path };
}

test('curl -T stores a file under its own or another name, and replaces it', { skip: without('curl') }, async (t) => {
  const { server, auth, bytes, path } = await ready(t);
  const folder = await runProgram('curl', [
    ...auth,
    '-w',
    '%{http_code}',
    '-T',
    path,
    `${server.origin}/api/files/content/`,
  ]);
  assert.match(folder.stdout, /201$/, folder.stderr);
  assert.ok((await content(server, 'a b.bin')).equals(bytes));
  const named = `${server.origin}/api/files/content/dir/other.bin`;
  for (const status of [201, 200]) {
    const { stdout } = await runProgram('curl', [...auth, '-w', '%{http_code}', '-T', path, named]);
    assert.match(stdout, new RegExp(`${status}$`));
  }
  const exists = await runProgram('curl', [...auth, '-w', '%{http_code}', '-H', 'If-None-Match: *', '-T', path, named]);
  assert.match(exists.stdout, /412$/);
  assert.ok((await content(server, 'dir/other.bin')).equals(bytes));
});

test('curl --http1.1 receives the 104 and resumes an upload after its connection went silent', {
  skip: without('curl'),
}, async (t) => {
  const { server, folder, auth, bytes, path } = await ready(t);
  const proxy = await startProxy(t, server.port, (connection) =>
    connection === 1 ? { stallAfterSent: 1_000_000 } : {},
  );
  const draft = ['--http1.1', '-H', 'Upload-Draft-Interop-Version: 8'];
  const first = await runProgram('curl', [
    ...auth,
    ...draft,
    '-v',
    '-m',
    '2',
    '-H',
    'Upload-Complete: ?1',
    '-H',
    'Expect:',
    '-T',
    path,
    `${proxy.origin}/api/files/content/resumed`,
  ]);
  assert.notEqual(first.code, 0, 'curl stops');
  assert.match(first.stderr, /< HTTP\/1\.1 104 /);
  const [, location = ''] = /< location: (\S+)/i.exec(first.stderr) ?? [];
  const head = await runProgram('curl', [...auth, ...draft, '-I', `${proxy.origin}${location}`]);
  const offset = Number(/upload-offset: (\d+)/i.exec(head.stdout)?.[1]);
  assert.ok(offset > 0 && offset < bytes.length, head.stdout);
  assert.match(head.stdout, /upload-complete: \?0/i);
  const rest = join(folder, 'rest');
  await writeFile(rest, bytes.subarray(offset));
  const last = await runProgram('curl', [
    ...auth,
    ...draft,
    '-w',
    '%{http_code}',
    '-X',
    'PATCH',
    '-H',
    'Content-Type: application/partial-upload',
    '-H',
    `Upload-Offset: ${offset}`,
    '-H',
    'Upload-Complete: ?1',
    '--data-binary',
    `@${rest}`,
    `${proxy.origin}${location}`,
  ]);
  assert.match(last.stdout, /200$/, last.stdout);
  assert.ok((await content(server, 'resumed')).equals(bytes));
});
