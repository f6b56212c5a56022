/** Names from others never move the cursor, change colours or reverse the direction of text. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { progressLine } from '../../../src/cli/shared/progress-view.ts';
import { jsonLine, printable, printableLines } from '../../../src/cli/shared/terminal.ts';
import { startServer } from '../../support/product/server.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';

const RAW = /[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]/u;

test('control characters are escaped, and words of any language are unchanged', () => {
  assert.equal(printable('a\x1b[31mb\r\n\t\x7f\x9b'), 'a\\x1b[31mb\\r\\n\\t\\x7f\\x9b');
  assert.equal(printable('gpj\u202eexe.\u2066\u{e0041}'), 'gpj\\u202eexe.\\u2066\\u{e0041}');
  for (const text of ['Straße', 'עברית', 'می‌خواهم', '👩‍👧', '日本語', 'e\u0301']) assert.equal(printable(text), text);
  assert.equal(printableLines('a\nb\x1b'), 'a\nb\\x1b');
  const value = { name: 'a\u202eb\x9bc\u{e0041}', text: 'ü' };
  assert.doesNotMatch(jsonLine(value), RAW);
  assert.deepEqual(JSON.parse(jsonLine(value)), value);
  const line = progressLine('\x1b[2Jname\u202e', { done: 1, moving: 0, total: 2, before: 0, rate: 1, left: 1 }, 200);
  assert.doesNotMatch(line, RAW);
});

test('no command prints control characters from names or arguments', async (t) => {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const env = { LADING_SERVER: server.origin, LADING_TOKEN: server.client.token };
  const name = 'wav.\u202efdp';
  await writeFile(join(folder, name), 'x');
  await writeFile(join(folder, 'esc\x1b[31m'), 'x');
  const commands = [
    ['upload', name],
    ['upload', 'esc\x1b[31m'],
    ['upload', `absent${name}\x1b[31m`],
    ...[['ls'], ['status', name], ['verify', name], ['share', 'create', name], ['share', 'list']],
    ...[
      ['grants', 'list'],
      ['download', name, '-o', `down${name}`],
      ['download', `no${name}`],
    ],
    ...[['rm', name], ['rm', name, `b${name}`], ['status', name], ['nonsense\x1b[31m'], ['ls', '--no\x1b[31m']],
  ];
  for (const args of commands) {
    const { stdout, stderr } = await runCli(t, args, { cwd: folder, env });
    assert.ok(stdout + stderr !== '', args.join(' '));
    for (const line of `${stdout}\n${stderr}`.split('\n')) assert.doesNotMatch(line, RAW, args.join(' '));
  }
  const admin = { LADING_SERVER: server.origin, LADING_TOKEN: server.admin.token };
  await runCli(t, ['clients', 'create', '--name', 'camera\u202e7'], { env: admin });
  const { stdout } = await runCli(t, ['clients', 'list'], { env: admin });
  assert.match(stdout, /camera\\u202e7/);
});

test('control characters in error details of a server are escaped', async (t) => {
  const hostile = createServer((request, response) => {
    request.resume();
    const problem = { code: 'forbidden', status: 403, detail: '\x1b[2Jlook\nlading: all is well \x9b31m' };
    response.writeHead(403, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
  });
  hostile.listen(0, '127.0.0.1');
  await new Promise((resolve) => hostile.once('listening', resolve));
  t.after(() => hostile.close());
  const LADING_SERVER = `http://127.0.0.1:${(hostile.address() as AddressInfo).port}`;
  const { code, stderr } = await runCli(t, ['ls'], { env: { LADING_SERVER, LADING_TOKEN: 't' } });
  assert.equal(code, 3);
  assert.equal(stderr, 'lading: \\x1b[2Jlook\\nlading: all is well \\x9b31m\n');
});
