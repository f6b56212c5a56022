/** `lading import config.ini`: imports the clients and the FTP server of an older recording server. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { pbkdf2Sync, scryptSync } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { isForeignHash, verifyForeign } from '../../src/identity/credentials/foreign-hashes.ts';
import { findIn } from '../../src/import/config-ini.ts';
import { IniError, parseIni } from '../../src/import/ini.ts';
import { type Account, startServer } from '../support/product/server.ts';
import { runCli, temporaryFolder } from '../support/servers/processes.ts';
import { pythonWith } from '../support/servers/python.ts';

const SECRETS = { one: 'red kettle on a shelf', two: 'blue kettle in a box', boss: 'the one who decides' };

/** A hash in the format of werkzeug. */
function pbkdf2Hash(secret: string, iterations = 1000): string {
  return `pbkdf2:sha256:${iterations}$saltysalt$${pbkdf2Sync(secret, 'saltysalt', iterations, 32, 'sha256').toString('hex')}`;
}

function scryptHash(secret: string): string {
  const options = { N: 32768, r: 8, p: 1, maxmem: 256 * 1024 ** 2 };
  return `scrypt:32768:8:1$pepper$${scryptSync(secret, 'pepper', 64, options).toString('hex')}`;
}

const CONFIG = `# of the recording server
[FTP]
host = ftp.example.invalid
port = 2121
username = recorder
password = 50%%;pässword#1
directory = /incoming

[SERVER]
debug = true

[clients]
recorder-1 = ${pbkdf2Hash(SECRETS.one)}
boss = ${pbkdf2Hash(SECRETS.boss)}, admin

[client:Recorder-2]
client_secret_hash: ${scryptHash(SECRETS.two)}
role = user
`;

async function write(t: TestContext, text = CONFIG): Promise<{ file: string; dataDir: string }> {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'config.ini');
  await writeFile(file, text);
  return { file, dataDir: join(folder, 'data') };
}

async function token(origin: string, { id, secret }: Pick<Account, 'id' | 'secret'>): Promise<number> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret });
  return (await fetch(`${origin}/api/oauth/token`, { method: 'POST', body })).status;
}

async function hashOf(dataDir: string, id: string): Promise<string> {
  const text = await readFile(join(dataDir, 'v1', 'clients', `${id}.json`), 'utf8');
  return (JSON.parse(text) as { secretHash: string }).secretHash;
}

test('imported clients keep their secrets, which are rehashed at the first sign-in, and the FTP server becomes a target', async (t) => {
  const { file, dataDir } = await write(t);
  const dry = await runCli(t, ['import', file, '--data-dir', dataDir, '--dry-run', '--json']);
  assert.equal(dry.code, 0, dry.stderr);
  await assert.rejects(readdir(dataDir), /ENOENT/);
  const planned = JSON.parse(dry.stdout) as {
    dry_run: boolean;
    entries: { outcome: string }[];
    ignored_sections: string[];
  };
  assert.deepEqual([planned.dry_run, planned.ignored_sections], [true, ['SERVER']]);
  assert.deepEqual(
    planned.entries.map(({ outcome }) => outcome),
    Array(4).fill('to be imported'),
  );

  const done = await runCli(t, ['import', file, '--data-dir', dataDir]);
  assert.equal(done.code, 0, done.stderr);
  for (const words of ['recorder-1', 'Recorder-2', 'boss', 'ftp.example.invalid:2121', '[SERVER]'])
    assert.ok(done.stdout.includes(words), words);
  assert.doesNotMatch(done.stdout + done.stderr, /kettle|pässword|pbkdf2|scrypt/);
  assert.match(await hashOf(dataDir, 'recorder-1'), /^pbkdf2:/);

  const server = await startServer(t, {}, {}, dataDir);
  const { origin, admin } = server;
  assert.equal(await token(origin, { id: 'recorder-1', secret: 'wrong' }), 401);
  assert.match(await hashOf(dataDir, 'recorder-1'), /^pbkdf2:/);
  const together = Array.from({ length: 4 }, () => token(origin, { id: 'recorder-1', secret: SECRETS.one }));
  assert.deepEqual(await Promise.all(together), [200, 200, 200, 200]);
  assert.equal(await token(origin, { id: 'Recorder-2', secret: SECRETS.two }), 200);
  for (const id of ['recorder-1', 'Recorder-2']) assert.match(await hashOf(dataDir, id), /^scrypt\$/);
  assert.equal(await token(origin, { id: 'recorder-1', secret: SECRETS.one }), 200);
  assert.equal(await token(origin, { id: 'recorder-1', secret: 'wrong' }), 401);
  const { clients } = (await (await fetch(`${origin}/api/clients`, { headers: admin.headers })).json()) as {
    clients: { client_id: string; role: string }[];
  };
  const roles = new Map(clients.map(({ client_id: id, role }) => [id, role]));
  assert.deepEqual(
    ['recorder-1', 'Recorder-2', 'boss'].map((id) => roles.get(id)),
    ['client', 'client', 'admin'],
  );
  const config = (await (await fetch(`${origin}/api/config`, { headers: admin.headers })).json()) as Record<
    string,
    unknown
  >;
  assert.deepEqual(
    [config.host, config.port, config.username, config.password, config.directory],
    ['ftp.example.invalid', 2121, 'recorder', '********', '/incoming'],
  );
  const running = await runCli(t, ['import', file, '--data-dir', dataDir]);
  assert.equal(running.code, 1);
  assert.match(running.stderr, /in use by process .* Stop the server first/);
  await server.close();

  const before = await hashOf(dataDir, 'recorder-1');
  const again = await runCli(t, ['import', file, '--data-dir', dataDir, '--json']);
  assert.equal(again.code, 0, again.stderr);
  const repeated = JSON.parse(again.stdout) as { entries: { outcome: string }[] };
  assert.deepEqual(
    repeated.entries.map(({ outcome }) => outcome),
    Array(4).fill('there already'),
  );
  assert.equal(await hashOf(dataDir, 'recorder-1'), before);
  const targets = await readdir(join(dataDir, 'v1', 'targets'));
  assert.equal(targets.length, 1);
});

test('an import with an invalid entry imports nothing, and the exit code shows the reason', async (t) => {
  const invalid = `${CONFIG}\n[roles]\nnobody = admin\nboss = emperor\n[client: ]\n`;
  const { file, dataDir } = await write(t, invalid);
  const refused = await runCli(t, ['import', file, '--data-dir', dataDir]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /"nobody" has a role and no secret/);
  assert.match(refused.stderr, /"boss" has the role "emperor"/);
  await assert.rejects(readdir(dataDir), /ENOENT/);
  const other = await write(t, '{"json": true}');
  assert.equal((await runCli(t, ['import', other.file, '--data-dir', other.dataDir])).code, 2);
  assert.equal((await runCli(t, ['import', join(other.dataDir, 'none.ini')])).code, 9);
  assert.equal((await runCli(t, ['import'])).code, 2);
  const empty = await write(t, '');
  assert.equal((await runCli(t, ['import', empty.file, '--data-dir', empty.dataDir])).code, 0);
});

test('the parser reads INI files of configparser', () => {
  const ini = parseIni(
    '\uFEFF; c\r\n[A b]\r\nKey = one\r\n  two\r\n# c\r\nother: x=y ; no comment\r\nempty =\r\n[a]\r\np=100%%\r\n',
  );
  assert.deepEqual(
    [...(ini.get('A b') ?? [])],
    [
      ['Key', 'one\ntwo'],
      ['other', 'x=y ; no comment'],
      ['empty', ''],
    ],
  );
  assert.deepEqual([...(ini.get('a') ?? [])], [['p', '100%']]);
  for (const invalid of ['key = before a section', '[a]\nneither', '[a]\n= x', '{'])
    assert.throws(() => parseIni(invalid), IniError);
});

test('clients are found in every supported form', () => {
  const hash = pbkdf2Hash('x');
  const found = findIn(
    parseIni(`[OAUTH_CLIENTS]\na = ${hash}\nb = {"client_secret": "plain text", "role": "ops"}\nc = plain
[client_roles]\na = root\n[OAUTH]\nclient_id = d\nclient_secret = e\nrole = recorder\n`),
  );
  assert.deepEqual(found.problems, []);
  assert.deepEqual(
    found.clients.map(({ id, role, hash: known, secret }) => [id, role, known !== null, secret]),
    [
      ['a', 'root', true, null],
      ['b', 'ops', false, 'plain text'],
      ['c', 'client', false, 'plain'],
      ['d', 'client', false, 'e'],
    ],
  );
  const problems = (text: string): string => findIn(parseIni(text)).problems.join(' ');
  assert.match(problems('[clients]\na b = x'), /no id of a client/);
  assert.match(problems('[clients]\na = md5$abc$def'), /not known/);
  assert.match(problems('[clients]\na ='), /no secret/);
  assert.match(problems('[FTP]\nhost = ftp://x'), /host/);
  assert.match(problems('[FTP]\nhost = x\nport = 99999'), /port/);
});

test('foreign hashes are verified, and invalid or expensive ones are refused', async () => {
  for (const hash of [pbkdf2Hash('secret'), scryptHash('secret')]) {
    assert.ok(isForeignHash(hash));
    assert.ok(await verifyForeign('secret', hash));
    assert.ok(!(await verifyForeign('secre', hash)));
  }
  const hex = 'ab'.repeat(32);
  for (const invalid of [
    `pbkdf2:sha256:0$s$${hex}`,
    `pbkdf2:sha256:99999999$s$${hex}`,
    `pbkdf2:md5:1000$s$${hex}`,
    `pbkdf2:sha256:1000$$${hex}`,
    `pbkdf2:sha256:1000$s$abc`,
    `scrypt:32767:8:1$s$${hex}`,
    `scrypt:1048576:8:1$s$${hex}`,
    `scrypt:32768:8:0$s$${hex}`,
    'scrypt$ln=14,r=8,p=1$c2FsdA$aGFzaA',
    '',
  ]) {
    assert.ok(!isForeignHash(invalid), invalid);
  }
});

test('hashes that werkzeug created are verified', async (t) => {
  const python = await pythonWith(['werkzeug==3.1.3']);
  if ('missing' in python) return t.skip(python.missing);
  const script = `from werkzeug.security import generate_password_hash as h
for method in ("scrypt", "pbkdf2", "pbkdf2:sha512:1000"): print(h("pässword", method))`;
  const { stdout } = await promisify(execFile)(join(python.programs, 'python'), ['-c', script]);
  const hashes = stdout.trim().split('\n');
  assert.equal(hashes.length, 3);
  for (const hash of hashes) {
    assert.ok(await verifyForeign('pässword', hash), hash);
    assert.ok(!(await verifyForeign('password', hash)));
  }
});
