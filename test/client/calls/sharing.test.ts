/** Share links, grants and sessions with the typed calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../../../src/client/node.ts';
import { atEnd, startServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';

test('the client creates, lists and ends links, grants and sessions', async (t) => {
  const server = await startServer(t);
  const other = await server.enrol();
  const connected = (token: string) => {
    const client = connect({ server: server.origin, token });
    atEnd(t, () => client.close());
    return client;
  };
  const owner = connected(server.client.token);
  const grantee = connected(other.token);
  await put(server, 'a b', 0, ALPHABET, { total_size: '26' });

  const link = await owner.shares.create('a b', { max_downloads: 2 });
  assert.equal(await (await fetch(link.url)).text(), ALPHABET.toString());
  assert.deepEqual(
    (await owner.shares.list()).map(({ share_id }) => share_id),
    [link.share_id],
  );
  assert.deepEqual(await owner.shares.list('other'), []);
  await owner.shares.revoke(link.share_id);
  assert.deepEqual(await owner.shares.list(), []);
  await assert.rejects(owner.shares.revoke(link.share_id), { code: 'not_found' });

  await assert.rejects(grantee.status('a b', { owner: server.client.id }), { code: 'forbidden' });
  const grant = await owner.grants.create({ filename: 'a b', grantee: other.id });
  assert.deepEqual(await owner.grants.list(), { given: [grant], received: [] });
  const [received] = (await grantee.grants.list()).received;
  const listed: string[] = [];
  for await (const { filename } of grantee.list({ owner: received?.owner })) listed.push(filename);
  assert.deepEqual(listed, ['a b']);
  assert.equal((await grantee.status('a b', { owner: received?.owner })).total_bytes, 26);
  await owner.grants.revoke(grant.grant_id);
  await assert.rejects(grantee.status('a b', { owner: server.client.id }), { code: 'forbidden' });

  const basic = `Basic ${Buffer.from(`${other.id}:${other.secret}`).toString('base64')}`;
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  const granted = await fetch(`${server.origin}/api/oauth/token`, {
    method: 'POST',
    headers: { authorization: basic },
    body: form,
  });
  const { access_token: token } = (await granted.json()) as { access_token: string };
  const signedIn = connected(token);
  const [session, ...more] = await signedIn.sessions.list();
  assert.ok(session?.current && more.length === 0);
  await grantee.sessions.end(session.id);
  await assert.rejects(signedIn.sessions.list(), { code: 'unauthorized' });
});
