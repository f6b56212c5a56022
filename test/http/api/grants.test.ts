/** Grants over real sockets: the files that a grantee sees, and who creates and revokes grants. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileList, FileStatus } from '../../../src/protocol/schemas/files.ts';
import { addPerson, rootFolder, seededFolder } from '../../support/product/identity.ts';
import { ask, PASSWORD } from '../../support/product/people.ts';
import { sign, startServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { BOTH, grant, granted, NEITHER, names, of, type Who, waysTo } from './grants-setup.ts';

test('a grantee lists and reads the granted file, also by ranges, and nothing else', async (t) => {
  const server = await startServer(t);
  const other = await server.enrol();
  const third = await server.enrol();
  for (const name of ['a', 'ab', 'b']) await put(server, name, 0, ALPHABET, { total_size: '26' });
  assert.deepEqual(await waysTo(server, 'a', other), NEITHER);
  const given = await granted(server, { filename: 'a', grantee: other.id });
  assert.deepEqual(
    [given.kind, given.name, given.owner, given.grantee, given.created_by, given.expires_at],
    ['file', 'a', server.client.id, other.id, server.client.id, null],
  );
  assert.deepEqual(await waysTo(server, 'a', other), BOTH);
  assert.deepEqual(await names(server, other), ['a']);
  for (const name of ['ab', 'b', 'none']) assert.deepEqual(await waysTo(server, name, other), NEITHER);
  assert.deepEqual(await waysTo(server, 'a', third), NEITHER);
  const { origin, client } = server;
  const range = { headers: { ...other.headers, range: 'bytes=-3' } };
  const part = await fetch(`${origin}/api/files/download/a?owner=${client.id}`, range);
  assert.deepEqual([part.status, await part.text()], [206, 'xyz']);
  const head = await fetch(`${origin}/api/files/download/a?owner=${client.id}`, {
    method: 'HEAD',
    headers: other.headers,
  });
  assert.equal(head.status, 200);
  const status = (await (await of(server, '/api/files/status/a', other)).json()) as FileStatus;
  assert.equal(status.total_bytes, 26);
  const ownList = (await (await fetch(`${origin}/api/files`, { headers: other.headers })).json()) as FileList;
  assert.deepEqual(ownList.files, [], 'own lists do not contain it');
});

test('a grantee is named by id or exact name, and an unknown or ambiguous name is refused', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  const enrolled = async (name: string): Promise<string> => {
    const made = await ask(origin, '/api/clients', { headers: { ...admin.headers }, body: { role: 'client', name } });
    return ((await made.json()) as { client_id: string }).client_id;
  };
  const camera = await enrolled('Camera 7');
  const names = { name: 'Ann', surname: 'Example', email: 'ann@example.org' };
  const body = { ...names, password: PASSWORD, password2: PASSWORD, role: 'client' };
  const person = (await (await ask(origin, '/v1/user', { headers: { ...admin.headers }, body })).json()) as {
    id: string;
  };
  for (const _ of [1, 2]) await enrolled('twin');
  const account = { body: { username: 'Reader 1', password: PASSWORD }, headers: { ...admin.headers } };
  assert.equal((await ask(origin, '/client/signup', account)).status, 201);
  for (const [word, id] of [
    ['Camera 7', camera],
    ['ann@example.org', person.id],
    ['Ann@Example.org', person.id],
    [camera, camera],
  ] as const) {
    const prefix = `${word}/`;
    assert.equal((await granted(server, { prefix, grantee: word })).grantee, id, word);
    await assertProblemReply(await grant(server, { prefix, grantee: id }), 'already_exists');
  }
  assert.match((await granted(server, { prefix: 'r/', grantee: 'reader 1' })).grantee, /^[0-9a-f]{24}$/);
  const unknown = await grant(server, { prefix: 'a/', grantee: '0123456789abcdef01234567' });
  const { instance: _, ...refusal } = (await unknown.json()) as Record<string, unknown>;
  for (const word of ['camera 7', 'Camera', 'Ann Example', 'ann', 'bob@example.org', '', ' ']) {
    const reply = await grant(server, { prefix: 'a/', grantee: word });
    const { instance: __, ...same } = (await reply.json()) as Record<string, unknown>;
    assert.deepEqual([reply.status, same], [404, refusal], word);
  }
  const twins = await grant(server, { prefix: 'a/', grantee: 'twin' });
  assert.match(await twins.clone().text(), /Send the id of the grantee/);
  await assertProblemReply(twins, 'validation_failed');
  await assertProblemReply(await grant(server, { prefix: 'a/', grantee: client.id }), 'validation_failed');
});

test('a name of another tenant is unknown', async (t) => {
  const server = await startServer(t, {}, {}, await rootFolder(t));
  const { origin, admin } = server;
  const headers = { ...admin.headers };
  const tenant = { tenant_id: 'other', name: 'Other' };
  assert.equal((await ask(origin, '/api/tenants', { headers, body: tenant })).status, 201);
  const named = { role: 'client', name: 'elsewhere' };
  assert.equal((await ask(origin, '/api/clients?tenant=other', { headers, body: named })).status, 201);
  await assertProblemReply(await grant(server, { prefix: 'a/', grantee: 'elsewhere' }), 'not_found');
});

test('a grant allows only reading', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const other = await server.enrol();
  await put(server, 'a/1', 0, ALPHABET, { total_size: '26' });
  await granted(server, { prefix: 'a/', grantee: other.id });
  const ways: [string, string][] = [
    ['DELETE', '/api/files/a%2F1'],
    ['POST', '/api/files/complete/a%2F1'],
    ['POST', '/api/files/verify/a%2F1'],
    ['POST', '/api/files/share/a%2F1'],
    ['GET', '/api/shares'],
    ['GET', '/api/grants'],
  ];
  for (const [method, path] of ways) {
    const reply = await fetch(`${origin}${path}?owner=${client.id}`, { method, headers: other.headers });
    await assertProblemReply(reply, 'forbidden');
  }
  await assertProblemReply(
    await grant(server, { prefix: 'a/', grantee: client.id }, other, `?owner=${client.id}`),
    'forbidden',
  );
  assert.deepEqual(await waysTo(server, 'a/1', other), BOTH);
});

test('a prefix grants present and future files, also unfinished ones', async (t) => {
  const server = await startServer(t);
  const other = await server.enrol();
  await granted(server, { prefix: 'run/', grantee: other.id });
  assert.deepEqual(await names(server, other), []);
  await put(server, 'run/1', 0, ALPHABET, { total_size: '26' });
  await put(server, 'run/2', 0, ALPHABET, { total_size: '52' });
  await put(server, 'running', 0, ALPHABET, { total_size: '26' });
  assert.deepEqual(await names(server, other), ['run/1', 'run/2']);
  assert.deepEqual(await names(server, other, '&status=partial'), ['run/2']);
  assert.deepEqual(await waysTo(server, 'run/2', other), ['not_complete', 200]);
  assert.deepEqual(await waysTo(server, 'running', other), NEITHER);
  assert.deepEqual(await waysTo(server, 'run/none', other), ['not_found', 200]);
});

test('lists of granted files have pages with every file once, in order', async (t) => {
  const server = await startServer(t);
  const other = await server.enrol();
  const all = ['a', 'a/1', 'a/2', 'a/b/1', 'a/b/2', 'b', 'c', 'c/1', 'd'];
  for (const name of all) await put(server, name, 0, ALPHABET, { total_size: '26' });
  for (const prefix of ['a/', 'a/b/', 'c']) await granted(server, { prefix, grantee: other.id });
  for (const filename of ['a/2', 'b', 'c']) await granted(server, { filename, grantee: other.id });
  const wanted = ['a/1', 'a/2', 'a/b/1', 'a/b/2', 'b', 'c', 'c/1'];
  assert.deepEqual(await names(server, other), wanted);
  for (const limit of [1, 2, 3, 7]) {
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const more: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page = (await (await of(server, '/api/files', other, `&limit=${limit}${more}`)).json()) as FileList;
      assert.ok(page.files.length <= limit);
      found.push(...page.files.map(({ filename }) => filename));
      cursor = page.next_cursor;
    }
    assert.deepEqual(found, wanted, `pages of ${limit}`);
  }
  assert.deepEqual(await names(server, other, '&prefix=a%2Fb'), ['a/b/1', 'a/b/2']);
  assert.deepEqual(await names(server, other, '&prefix=a%2F2'), ['a/2']);
  assert.deepEqual(await names(server, other, '&prefix=d'), []);
});

test('API tokens read files granted to their owner, and people and devices grant to each other', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    return { person: await addPerson(identity, 'ada@x.example') };
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { origin, app } = server;
  const person = sign(app, seeded.person, 'client', 'person');
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  await granted(server, { filename: 'a', grantee: seeded.person });
  const token = async (scopes: string[]): Promise<Who> => {
    const reply = await ask(origin, '/api/tokens', { headers: { ...person.headers }, body: { scopes } });
    const { token: text } = (await reply.json()) as { token: string };
    return { headers: { authorization: `Bearer ${text}` } };
  };
  assert.deepEqual(await waysTo(server, 'a', person), BOTH);
  assert.deepEqual(await waysTo(server, 'a', await token(['files:read'])), BOTH);
  const missing = ['insufficient_scope', 'insufficient_scope'];
  assert.deepEqual(await waysTo(server, 'a', await token(['files:write'])), missing);
});
