/**
 * The fields that replies show to each role, for every operation of the OpenAPI document. Below administrator, replies show no delivery
 * targets and no secrets of others; below ops, no ids of others. A route without a row fails the test, and so does a row without a route.
 */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { eventually } from '../../support/eventually.ts';
import { anna, ask, PASSWORD, register } from '../../support/product/people.ts';
import { type Account, startServer } from '../../support/product/server.ts';
import { operationsOf } from '../../support/tables/openapi.ts';
import { OF_TARGETS, ROWS, SETTINGS, TARGETS, type World } from '../../support/tables/reply-fields.ts';

async function made<T>(reply: Promise<Response>): Promise<T> {
  const answer = await reply;
  assert.ok(answer.ok, `${answer.url}: ${answer.status} ${await answer.clone().text()}`);
  return (await answer.json()) as T;
}

async function worldOf(t: TestContext, logged: string[]): Promise<World> {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(chunk.toString());
      done();
    },
  });
  const server = await startServer(t, SETTINGS, { log: pino({ level: 'trace' }, sink) });
  const { origin, admin, client: mine, enrol } = server;
  const other = await enrol();
  const json = (path: string, by: Account, body: object, method = 'POST') =>
    ask(origin, path, { method, body, headers: by.headers });
  const put = (by: Account) =>
    made(fetch(`${origin}/api/files/content/file`, { method: 'PUT', headers: by.headers, body: 'hello' }));
  const hook = await made<{ id: string }>(json('/api/deliveries/targets', admin, TARGETS.hook));
  const ftp = await made<{ id: string }>(json('/api/deliveries/targets', admin, TARGETS.ftp));
  for (const by of [mine, other]) await put(by);
  const share = await made<{ share_id: string; token: string }>(json('/api/files/share/file', other, {}));
  await made(json('/api/files/share/file', mine, {}));
  const token = await made<{ token_id: string; token: string }>(json('/api/tokens', other, {}));
  await made(json('/ops/signup', admin, { username: 'taken-name', password: PASSWORD }));
  const person = await register(origin);
  const grant = await made<{ grant_id: string }>(
    json('/api/grants', other, { prefix: 'a', grantee: person.person.id }),
  );
  await made(json(`/api/quotas/client/${other.id}`, admin, { bytes: 12_345_678 }, 'PUT'));
  const failed = async () => {
    const reply = await made<{ deliveries: { id: string; state: string }[] }>(
      fetch(`${origin}/api/deliveries?state=failed`, { headers: admin.headers }),
    );
    return reply.deliveries;
  };
  await eventually(async () => (await failed()).length >= 4, 'deliveries that failed');
  const others: Record<string, string> = {
    client_id: other.id,
    id: other.id,
    share_id: share.share_id,
    token_id: token.token_id,
    grant_id: grant.grant_id,
    target_id: hook.id,
    tenant_id: 'default',
    filename: 'file',
    token: share.token,
    pk: other.id,
  };
  const ids = [other.id, admin.id, person.person.id, share.share_id, token.token_id, grant.grant_id, anna.email];
  const targets = [hook.id, ftp.id, ...(await failed()).map(({ id }) => id)];
  const secrets = [
    ...[other.secret, admin.secret, other.token, admin.token, share.token, token.token],
    ...[person.signedIn.access_token, person.signedIn.refresh_token, SETTINGS.LADING_JWT_SECRET],
    ...[SETTINGS.DASHBOARD_PASSWORD, TARGETS.hook.secret, TARGETS.ftp.password, PASSWORD, 'scrypt$'],
  ];
  return { server, mine, ids, secrets, targets, others };
}

interface Asker {
  name: string;
  headers: Record<string, string>;
  /** True if the principal may see the ids of others. */
  seesOthers: boolean;
}

/** Body and fields of the answer, the stream's as far as the row says. */
async function answerOf(
  world: World,
  operation: string,
  asker: Asker,
  params: Record<string, string>,
): Promise<string> {
  const { server } = world;
  const row = ROWS[operation] ?? {};
  const [method = '', path = ''] = operation.split(' ');
  const place = path.replaceAll(/\{([^}]*)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? 'none'));
  const headers: Record<string, string> = { ...asker.headers, ...row.headers };
  if (headers.authorization === '') delete headers.authorization;
  const body = row.json ? JSON.stringify(row.json(world)) : row.form ? new URLSearchParams(row.form) : null;
  if (row.json) headers['content-type'] = 'application/json';
  const cut = new AbortController();
  const query = row.query === undefined ? '' : `?${row.query}`;
  const reply = await fetch(`${server.origin}${place}${query}`, {
    ...{ method, headers, body, redirect: 'manual', signal: cut.signal },
  });
  const fields = JSON.stringify([...reply.headers]);
  if (!row.until || reply.status !== 200) return `${reply.status} ${fields} ${await reply.text()}`;
  let text = '';
  for await (const piece of (reply.body ?? []) as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    // The stream sends all stored events at once; this is the last one.
    if (row.until.test(text) && text.endsWith('\n\n')) break;
  }
  cut.abort();
  return `${reply.status} ${fields} ${text}`;
}

test('replies to non-administrators show no target, secret or other principal, and the log shows no secret', async (t) => {
  const logged: string[] = [];
  const world = await worldOf(t, logged);
  const { server, mine, ids, secrets, targets, others } = world;
  const operations = (await operationsOf(server.origin)).map(({ name }) => name);
  assert.deepEqual(Object.keys(ROWS).toSorted(), operations.toSorted(), 'every operation has its line');
  const ops = await server.enrol('ops');
  const { token } = await made<{ token: string }>(
    ask(server.origin, '/api/tokens', { body: { scopes: ['read', 'write'] }, headers: mine.headers }),
  );
  const askers: Asker[] = [
    { name: 'client', headers: mine.headers, seesOthers: false },
    { name: 'API token', headers: { authorization: `Bearer ${token}` }, seesOthers: false },
    { name: 'ops', headers: ops.headers, seesOthers: true },
    { name: 'nobody', headers: {}, seesOthers: false },
  ];
  for (const asker of askers) {
    for (const operation of operations) {
      const own = { filename: 'file', id: mine.id, client_id: mine.id, ...ROWS[operation]?.params };
      for (const [whose, params] of [
        ['own', own],
        ["others'", { ...others, ...ROWS[operation]?.params }],
      ] as const) {
        const answer = await answerOf(world, operation, asker, params);
        const where = `${asker.name}: ${operation} with ${whose} ids: ${answer}`;
        assert.doesNotMatch(answer, OF_TARGETS, where);
        for (const hidden of [...secrets, ...targets]) assert.ok(!answer.includes(hidden), where);
        if (whose === 'own' && !asker.seesOthers) for (const id of ids) assert.ok(!answer.includes(id), where);
        assert.ok(!/^5(?!03)/.test(answer), where);
      }
    }
  }
  const log = logged.join('');
  assert.ok(log.includes('/api/config'), 'the log is there');
  for (const secret of [...secrets, token, mine.token, mine.secret]) assert.ok(!log.includes(secret), secret);
  await administratorsSee(world);
  await ownersSee(world);
});

async function administratorsSee({ server }: World): Promise<void> {
  for (const path of ['/api/config', '/api/deliveries/targets', '/api/deliveries']) {
    const text = await (await fetch(`${server.origin}${path}`, { headers: server.admin.headers })).text();
    assert.match(text, /ftp-host\.invalid/, path);
    assert.ok(!text.includes(TARGETS.ftp.password) && !text.includes(TARGETS.hook.secret), path);
  }
  const status = `/api/files/status/file?owner=${server.client.id}`;
  const seen = await (await fetch(`${server.origin}${status}`, { headers: server.admin.headers })).text();
  assert.match(seen, /ftp-host\.invalid|ENOTFOUND|EAI_AGAIN/);
}

/** Names of targets, and a reason without details. */
async function ownersSee({ server, mine }: World): Promise<void> {
  const status = await made<{ deliveries: { target: string; state: string; last_error: string }[] }>(
    fetch(`${server.origin}/api/files/status/file`, { headers: mine.headers }),
  );
  const [named, unnamed] = status.deliveries.toSorted((a) => (a.target === 'archive' ? -1 : 1));
  assert.equal(named?.target, 'archive');
  assert.match(named?.last_error ?? '', /An administrator can see the reason/);
  assert.match(unnamed?.target ?? '', /^webhook [0-9a-f]{4}$/, 'by default the name is its host');
  const config = await made<{ delivery: { targets: unknown[] } }>(
    fetch(`${server.origin}/api/config`, { headers: mine.headers }),
  );
  assert.equal(config.delivery.targets.length, 2);
  assert.ok(config.delivery.targets.some((target) => JSON.stringify(target) === '{"name":"archive"}'));
}
