/** Every command reports something that does not exist by its exit code, and accepts names in place of ids. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { program } from '../../../src/cli/program.ts';
import { startServer } from '../../support/product/server.ts';
import { jsonLines, runCli, temporaryFolder } from '../../support/servers/processes.ts';
import { bytesOf, clientOf, deviceOf, sourceOf } from '../../support/tables/fixtures.ts';

/** Arguments and expected exit codes by command; null for commands that take no existing name. */
const ROWS: Record<string, [args: string, code: number][] | null> = {
  serve: null,
  upload: [['absent', 9]],
  download: [
    ['absent', 4],
    ['absent -', 4],
    ['f --owner nobody', 4],
    ['f --range 90-', 8],
  ],
  status: [
    ['absent', 4],
    ['f --owner nobody', 4],
  ],
  ls: [['--owner nobody', 4]],
  rm: [
    ['absent', 4],
    ['absent --upload-only', 4],
    ['f --owner nobody', 4],
  ],
  'share create': [['absent', 4]],
  'share list': [['--owner nobody', 4]],
  'share revoke': [['5d41402abc4b2a76', 4]],
  'grants create': [
    ['nobody --file f', 4],
    ['5d41402abc4b2a76b9719d91 --file f', 4],
  ],
  'grants list': [['--owner nobody', 4]],
  'grants revoke': [['5d41402abc4b2a76', 4]],
  complete: [['absent', 4]],
  verify: [['absent', 4]],
  import: [['absent.ini', 9]],
  settings: null,
  login: null,
  logout: null,
  'tokens list': [['--user nobody', 4]],
  'tokens create': [['--user nobody', 4]],
  'tokens rotate': [['5d41402abc4b2a76', 4]],
  'tokens revoke': [['5d41402abc4b2a76', 4]],
  'clients list': null,
  'clients create': null,
  'clients delete': [
    ['nobody', 4],
    ['5d41402abc4b2a76b9719d91', 4],
  ],
  'users list': null,
  'users show': [
    ['nobody', 4],
    ['nobody@example.org', 4],
  ],
  'users create': null,
  'users update': [['nobody --role ops', 4]],
  'users delete': [['nobody', 4]],
  'tenants list': null,
  'tenants create': null,
  // Administrators may not delete tenants.
  'tenants delete': [['nobodys', 3]],
  quotas: null,
  'quotas show': [
    ['client nobody', 4],
    ['person nobody@example.org', 4],
    ['tenant nobodys', 4],
  ],
  'quotas set': [['client nobody --none', 4]],
  'deliveries list': [['--target absent', 4]],
  'deliveries retry': [['0mhc1x2v5d41402abc4b', 4]],
  'deliveries targets list': null,
  'deliveries targets add': [['webhook --url https://example.org/ --owner nobody', 4]],
  'deliveries targets disable': [['5d41402abc4b2a76', 4]],
  'deliveries targets enable': [['5d41402abc4b2a76', 4]],
  'deliveries targets rm': [['5d41402abc4b2a76', 4]],
  'calls request': null,
  'calls verify': null,
  'calls replay': null,
  'calls status': null,
  'calls phone': [['client nobody', 4]],
  audit: [['--principal nobody', 4]],
  sweep: null,
  'admin reset': [['--data-dir absent', 2]],
  completion: null,
};

/** The paths of all commands with an action. */
function commands(): string[] {
  const walk = (command: ReturnType<typeof program>, path: string[]): string[] =>
    command.commands.flatMap((child) => {
      const words = [...path, child.name()];
      const below = walk(child, words);
      return below.length === 0 || child.name() === 'quotas' ? [words.join(' '), ...below] : below;
    });
  return walk(program(), []);
}

test('the table has a row for every command', () => {
  assert.deepEqual(commands().sort(), Object.keys(ROWS).sort());
});

test('a name that does not exist has its exit code in every command', async (t) => {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const owner = clientOf(t, { server: server.origin, token: server.admin.token });
  const env = { LADING_SERVER: server.origin, LADING_TOKEN: server.admin.token };
  await owner.upload(sourceOf(bytesOf(10)), { name: 'f' });
  const wrong: string[] = [];
  for (const [command, rows] of Object.entries(ROWS)) {
    for (const [args, expected] of rows ?? []) {
      const { code, stderr } = await runCli(t, [...command.split(' '), ...args.split(' ')], { env, cwd: folder });
      if (code !== expected || !/^(lading|error): /.test(stderr)) wrong.push(`${command} ${args}: ${code} ${stderr}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('every command accepts a name in place of an id, unless it is ambiguous', async (t) => {
  const server = await startServer(t);
  const env = { LADING_SERVER: server.origin, LADING_TOKEN: server.admin.token };
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli(t, [...args, '--json'], { env });
    assert.equal(code, 0, stderr + stdout);
    return jsonLines(stdout)[0] ?? {};
  };
  const created = await json('clients', 'create', '--name', 'camera-7');
  const id = String(created.client_id);
  const token = await json('tokens', 'create', '--user', 'camera-7', '--scope', 'read', 'write');
  const device = { ...server, client: { ...server.client, token: String(token.token) } };
  await deviceOf(t, device).upload(sourceOf(bytesOf(10)), { name: 'f' });
  assert.equal((await json('status', 'f', '--owner', 'camera-7')).status, 'complete');
  assert.match(JSON.stringify(await json('ls', '--owner', 'camera-7')), /"f"/);
  assert.match(JSON.stringify(await json('tokens', 'list', '--user', 'camera-7')), new RegExp(id));
  assert.deepEqual(await json('audit', '--principal', 'camera-7'), { entries: [] });
  await json('quotas', 'set', 'client', 'camera-7', '--bytes', '1MiB');
  await json('quotas', 'show', 'client', server.admin.id);
  // A client without administrator rights can use ids.
  const grant = await runCli(t, ['grants', 'create', id, '--file', 'f', '--json'], {
    env: { LADING_SERVER: server.origin, LADING_TOKEN: server.client.token },
  });
  assert.equal(grant.code, 4, 'the grantee exists, but the file does not');
  const second = await json('clients', 'create', '--name', 'camera-7');
  const several = await runCli(t, ['ls', '--owner', 'camera-7'], { env });
  assert.equal(several.code, 2);
  assert.match(several.stderr, new RegExp(`${id}.*${second.client_id}|${second.client_id}.*${id}`));
  await json('clients', 'delete', String(second.client_id));
  assert.deepEqual(await json('clients', 'delete', 'camera-7'), { deleted: id });
});
