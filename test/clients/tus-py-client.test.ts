/** tus-py-client from PyPI, in a virtual environment of its own. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { startServer } from '../support/product/server.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { findProgram, runProgram } from '../support/servers/programs.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { sha256Of } from '../support/wire/tus.ts';

/** Uploads a file in chunks, stops after some of them and resumes from the stored URL, with or without checksums. */
const SCRIPT = `
import sys
from tusclient import client
from tusclient.storage import filestorage
endpoint, authorization, path, name, chunk, storage, checksum = sys.argv[1:]
tus = client.TusClient(endpoint, headers={'Authorization': authorization})
def uploader():
    return tus.uploader(path, chunk_size=int(chunk), metadata={'filename': name, 'filetype': 'audio/wav'}, retries=5,
                        retry_delay=0, store_url=True, url_storage=filestorage.FileStorage(storage),
                        upload_checksum=checksum == 'yes')
first = uploader()
first.upload_chunk()
assert first.offset == int(chunk), first.offset
second = uploader()
assert second.url == first.url and second.offset == int(chunk), second.offset
second.upload()
print(second.offset)
`;

let python: string | null = null;
let reason = 'no python3 with venv on this machine';

before(async () => {
  const found = findProgram('python3');
  if (found === null) return;
  // The environment is kept between runs.
  const folder = join(process.env.XDG_CACHE_HOME ?? '/tmp', 'lading-test-tus-py-client');
  const own = join(folder, 'bin/python');
  if ((await runProgram(own, ['-c', 'import tusclient']).catch(() => null))?.code === 0) python = own;
  else {
    const made = await runProgram(found, ['-m', 'venv', folder]);
    const installed = made.code === 0 ? await runProgram(own, ['-m', 'pip', 'install', '-q', 'tuspy']) : made;
    if (installed.code === 0) python = own;
    else reason = `tuspy cannot be installed here: ${installed.stderr.trim().split('\n').at(-1)}`;
  }
});

for (const checksum of ['no', 'yes']) {
  test(`tus-py-client uploads in chunks, stops and resumes, checksums: ${checksum}`, async (t) => {
    if (python === null) return t.skip(reason);
    const server = await startServer(t);
    const folder = await temporaryFolder(t);
    const bytes = randomBytes(3_000_000);
    const path = join(folder, 'sound.wav');
    await writeFile(path, bytes);
    const proxy = await startProxy(t, server.port, (connection) => (connection === 5 ? { cutAfterSent: 400_000 } : {}));
    const { authorization } = server.client.headers;
    const endpoint = `${proxy.origin}/files/`;
    const given = [endpoint, authorization, path, 'sound.wav', '700000', join(folder, 'urls'), checksum];
    const { code, stdout, stderr } = await runProgram(python, ['-c', SCRIPT, ...given]);
    assert.equal(code, 0, stderr);
    assert.ok(proxy.cuts > 0);
    assert.equal(stdout.trim(), '3000000');
    assert.equal(await sha256Of(server, 'sound.wav'), createHash('sha256').update(bytes).digest('hex'));
  });
}
