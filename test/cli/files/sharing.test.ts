/** `lading share` and `lading grants` against a real server. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { blobSource } from '../../../src/client/client.ts';
import { connect } from '../../../src/client/node.ts';
import { PASSWORD } from '../../support/product/people.ts';
import { startServer } from '../../support/product/server.ts';
import { jsonLines, runCli, temporaryFolder } from '../../support/servers/processes.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';

test('share creates, lists and revokes links that work without an account', async (t) => {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const lading = (args: readonly string[], input = '') =>
    runCli(t, args, {
      cwd: folder,
      env: { XDG_CONFIG_HOME: folder, LADING_SERVER: server.origin, LADING_TOKEN: server.client.token },
      input,
    });
  await put(server, 'tapes/a b', 0, ALPHABET, { total_size: '26' });
  const plain = await lading(['share', 'create', 'tapes/a b']);
  assert.equal(plain.code, 0, plain.stderr);
  const url = /^link +(\S+)$/m.exec(plain.stdout)?.[1] ?? '';
  assert.equal(await (await fetch(url)).text(), ALPHABET.toString());

  const options = ['--expires-in', '2h', '--max-downloads', '3', '--password-file', '-', '--json'];
  const [created] = jsonLines((await lading(['share', 'create', 'tapes/a b', ...options], `${PASSWORD}\n`)).stdout);
  assert.equal(Date.parse(String(created?.expires_at)) - Date.parse(String(created?.created_at)), 7_200_000);
  assert.deepEqual([created?.max_downloads, created?.password], [3, true]);
  const authorization = `Basic ${Buffer.from(`:${PASSWORD}`).toString('base64')}`;
  assert.equal((await fetch(String(created?.url))).status, 401);
  assert.equal((await fetch(String(created?.url), { headers: { authorization } })).status, 200);

  const shown = await lading(['share', 'list', 'tapes/a b']);
  assert.match(shown.stdout, /^SHARE +DOWNLOADS +PASSWORD +EXPIRES +CREATED BY +FILE\n/);
  assert.match(shown.stdout, new RegExp(`^${created?.share_id} +\\d of 3 +yes .* tapes/a b$`, 'm'));
  assert.ok(!shown.stdout.includes(String(created?.token)));
  assert.equal((await lading(['share', 'revoke', String(created?.share_id)])).code, 0);
  assert.equal((await fetch(String(created?.url), { headers: { authorization } })).status, 404);
  assert.equal((await lading(['share', 'revoke', String(created?.share_id)])).code, 4);
  assert.equal((await lading(['share', 'create', 'none'])).code, 4);
  assert.equal((await lading(['share', 'create', 'tapes/a b', '--max-downloads', '0'])).code, 2);
  const weak = join(folder, 'weak');
  await writeFile(weak, 'password\n');
  assert.notEqual((await lading(['share', 'create', 'tapes/a b', '--password-file', weak])).code, 0);
});

test('grants creates, lists and revokes grants, and the grantee reads the files', async (t) => {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const other = await server.enrol();
  const lading = (args: readonly string[], token = server.client.token) =>
    runCli(t, args, {
      cwd: folder,
      env: { XDG_CONFIG_HOME: folder, LADING_SERVER: server.origin, LADING_TOKEN: token },
    });
  for (const name of ['a/1', 'b']) await put(server, name, 0, ALPHABET, { total_size: '26' });
  const [created] = jsonLines((await lading(['grants', 'create', other.id, '--prefix', 'a/', '--json'])).stdout);
  assert.deepEqual([created?.kind, created?.name, created?.grantee], ['prefix', 'a/', other.id]);
  const single = await lading(['grants', 'create', other.id, '--file', 'b', '--expires-in', '1d']);
  assert.match(single.stdout, /^file +b$/m);

  const owner = ['--owner', server.client.id];
  const listed = await lading(['ls', ...owner, '--json'], other.token);
  const [{ files } = { files: [] }] = jsonLines(listed.stdout) as { files: { filename: string }[] }[];
  assert.deepEqual(
    files.map(({ filename }) => filename),
    ['a/1', 'b'],
  );
  assert.match((await lading(['status', 'a/1', ...owner], other.token)).stdout, /^status +complete$/m);
  assert.equal((await lading(['download', 'a/1', ...owner, '-o', 'got'], other.token)).code, 0);
  assert.equal(await readFile(join(folder, 'got'), 'utf8'), ALPHABET.toString());

  const shown = await lading(['grants', 'list'], other.token);
  assert.match(shown.stdout, /^GRANT +OWNER +GRANTEE +EXPIRES +FILES\n/);
  assert.match(shown.stdout, new RegExp(`^${created?.grant_id} +${server.client.id} +${other.id} +never +a/\\*$`, 'm'));
  assert.equal((await lading(['grants', 'revoke', String(created?.grant_id)])).code, 0);
  assert.equal((await lading(['status', 'a/1', ...owner], other.token)).code, 3);
  assert.equal((await lading(['grants', 'create', other.id])).code, 2);
  assert.equal((await lading(['grants', 'create', other.id, '--file', 'b'])).code, 5);
  assert.equal((await lading(['grants', 'create', 'nobody', '--file', 'b'])).code, 4);
});

test('a grantee can use the name of the owner, but learns no other names', async (t) => {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const lading = (args: readonly string[], token: string) =>
    runCli(t, args, {
      cwd: folder,
      env: { XDG_CONFIG_HOME: folder, LADING_SERVER: server.origin, LADING_TOKEN: token },
    });
  const admin = connect({ server: server.origin, token: server.admin.token });
  t.after(() => admin.close());
  const named = async (name: string) => {
    const { client_id: id } = await admin.clients.create({ role: 'client', name });
    const { token } = await admin.tokens.create({ user_id: id });
    return { id, token };
  };
  const [camera, viewer, stranger] = [await named('camera-7'), await named('viewer'), await named('a stranger')];
  const sender = connect({ server: server.origin, token: camera.token });
  t.after(() => sender.close());
  await sender.upload(blobSource(new Blob(['hello'])), { name: 'a/1' });
  await sender.grants.create({ prefix: 'a/', grantee: viewer.id });

  const list = await lading(['ls', '--owner', 'camera-7'], viewer.token);
  assert.equal(list.code, 0, list.stderr);
  assert.match(list.stdout, /a\/1$/m);
  assert.equal((await lading(['download', 'a/1', '--owner', 'camera-7', '-o', '-'], viewer.token)).stdout, 'hello');
  assert.equal((await lading(['__complete', 'who', 'cam', 'ls', '--owner'], viewer.token)).stdout, 'camera-7\n');
  // A principal without grants cannot distinguish a used name from an unused one.
  for (const who of ['camera-7', 'nobody at all']) {
    assert.equal((await lading(['ls', '--owner', who], stranger.token)).code, 3, who);
  }
  const { given } = await sender.grants.list();
  assert.doesNotMatch(JSON.stringify(given), /viewer/);
});

test('a client without administrator rights can name grantees and itself', async (t) => {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const admin = connect({ server: server.origin, token: server.admin.token });
  t.after(() => admin.close());
  const named = async (name: string) => {
    const { client_id: id, client_secret: secret } = await admin.clients.create({ role: 'client', name });
    return { LADING_CLIENT_ID: id, LADING_CLIENT_SECRET: secret };
  };
  const [camera, viewer] = [await named('camera-7'), await named('viewer')];
  for (const _ of [1, 2]) await named('twin');
  const lading = (args: readonly string[], who = camera) =>
    runCli(t, args, { cwd: folder, env: { XDG_CONFIG_HOME: folder, LADING_SERVER: server.origin, ...who } });
  const created = await lading(['grants', 'create', 'viewer', '--prefix', 'a/', '--json']);
  assert.equal(created.code, 0, created.stderr);
  assert.equal(jsonLines(created.stdout)[0]?.grantee, viewer.LADING_CLIENT_ID);
  const unknown = await lading(['grants', 'create', 'nobody', '--prefix', 'a/']);
  assert.deepEqual(
    [unknown.code, (await lading(['grants', 'create', 'ab'.repeat(12), '--prefix', 'a/'])).stderr],
    [4, unknown.stderr],
  );
  const twins = await lading(['grants', 'create', 'twin', '--prefix', 'a/']);
  assert.deepEqual([twins.code, /Several clients or people/.test(twins.stderr)], [1, true], twins.stderr);
  for (const args of [
    ['tokens', 'create', '--user'],
    ['tokens', 'list', '--user'],
    ['ls', '--owner'],
    ['grants', 'list', '--owner'],
  ]) {
    const own = await lading([...args, 'camera-7']);
    assert.equal(own.code, 0, `${args.join(' ')}: ${own.stderr}`);
  }
  // A lookup of a name is not recorded as a refusal.
  for await (const entry of admin.audit({ action: 'refusal' })) assert.fail(JSON.stringify(entry));
});
