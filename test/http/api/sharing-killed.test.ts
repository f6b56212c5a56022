/** A server that is killed while a shared file is downloaded. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, get as request } from 'node:http';
import { test } from 'node:test';
import { connect } from '../../../src/client/node.ts';
import { ask, PASSWORD } from '../../support/product/people.ts';
import { startServerProcess, temporaryFolder } from '../../support/servers/processes.ts';

test('a server killed during a shared download keeps accounts, sessions, links and grants', async (t) => {
  const dataDir = await temporaryFolder(t);
  const first = await startServerProcess(t, dataDir);
  const {
    LADING_SERVER: server = '',
    LADING_CLIENT_ID: clientId = '',
    LADING_CLIENT_SECRET: clientSecret = '',
  } = first.env;
  const client = connect({ server, clientId, clientSecret });
  t.after(() => client.close());
  const administrator = { authorization: `Bearer ${await client.token()}` };
  const body = { username: 'anna', password: PASSWORD };
  const made = await ask(server, '/client/signup', { body, headers: administrator });
  const { id: anna } = (await made.json()) as { id: string };
  const session = { authorization: `Bearer ${await (await ask(server, '/client/login', { body })).text()}` };
  const ended = { authorization: `Bearer ${await (await ask(server, '/client/login', { body })).text()}` };
  assert.equal((await ask(server, '/logout', { headers: ended })).status, 200);

  const size = 32 * 1024 * 1024;
  const bytes = randomBytes(size);
  await client.uploadChunk('large', { start: 0, data: new Uint8Array(bytes), totalSize: size });
  const link = await client.shares.create('large', { max_downloads: 1 });
  const grant = await client.grants.create({ filename: 'large', grantee: anna });
  const asked = request(link.url);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  await once(answer, 'data');
  const broken = once(answer, 'error');
  await first.kill();
  answer.resume();
  await broken;

  await startServerProcess(t, dataDir, first.port);
  const mine = await ask(server, `/api/files/download/large?owner=${clientId}`, { headers: session });
  assert.ok(Buffer.from(await mine.arrayBuffer()).equals(bytes));
  assert.equal((await ask(server, '/api/files', { headers: ended })).status, 401);
  const received = (await (await ask(server, '/api/grants', { headers: session })).json()) as { received: object[] };
  assert.deepEqual(received.received, [grant]);
  const again = await fetch(link.url);
  assert.ok(Buffer.from(await again.arrayBuffer()).equals(bytes), 'the interrupted download does not count');
  assert.equal((await fetch(link.url)).status, 404);
});
