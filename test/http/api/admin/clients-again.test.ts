/** A client that is created again with the id of a deleted one: credentials of the deleted client stay invalid, whatever the date. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Grant } from '../../../../src/protocol/schemas/grant.ts';
import type { ShareCreated } from '../../../../src/protocol/schemas/share.ts';
import { createToken } from '../../../support/product/api-tokens.ts';
import { machine } from '../../../support/product/clock.ts';
import { grant, granted, isTokenValid } from '../../../support/product/oauth.ts';
import { ask } from '../../../support/product/people.ts';
import { ADMIN, signIn, startServer } from '../../../support/product/server.ts';
import { put } from '../../../support/wire/downloads.ts';

for (const days of [0, -2, 365]) {
  test(`tokens of a deleted administrator stay invalid when the next start creates it again, with the date moved by ${days} days`, async (t) => {
    const on = machine(Date.now());
    const server = await startServer(t, {}, { clock: on.clock });
    const { origin, admin } = server;
    const former = { ...server, client: admin };
    await put(former, 'a.bin', 0, Buffer.from('abc'), { total_size: '3' });
    const reader = await server.enrol();
    const { access_token: token } = await signIn(origin, ADMIN.id, ADMIN.secret);
    const session = await granted(await grant(origin, ADMIN, { grant_type: 'client_credentials' }));
    const api = await createToken(server, admin, { scopes: ['files:read'] });
    const headers = { ...admin.headers };
    const share = await ask(origin, '/api/files/share/a.bin', { headers, body: {} });
    const link = (await share.json()) as ShareCreated;
    const given = await ask(origin, '/api/grants', { headers, body: { filename: 'a.bin', grantee: reader.id } });
    assert.equal(given.status, 201, await given.clone().text());
    const { owner } = (await given.json()) as Grant;
    const reads = (at: string) => ask(at, `/api/files/download/a.bin?owner=${owner}`, { headers: reader.headers });
    assert.deepEqual([(await fetch(`${origin}/s/${link.token}`)).status, (await reads(origin)).status], [200, 200]);

    const other = await server.enrol('admin');
    const path = `/api/clients/${ADMIN.id}`;
    const removed = await ask(origin, path, { method: 'DELETE', headers: { ...other.headers } });
    assert.equal(removed.status, 200, await removed.text());
    for (const one of [token, session.access_token, api.token]) assert.equal(await isTokenValid(origin, one), false);
    const kept = on.clock.keep();
    await server.close();
    on.step(days * 24 * 3600 * 1000);
    on.restart(kept);
    const again = await startServer(t, {}, { clock: on.clock }, server.dataDir);
    for (const one of [token, session.access_token, api.token])
      assert.equal(await isTokenValid(again.origin, one), false);
    const refresh = { grant_type: 'refresh_token', refresh_token: session.refresh_token ?? '' };
    const refused = await grant(again.origin, ADMIN, refresh);
    assert.equal(refused.status, 400, await refused.text());
    assert.equal((await fetch(`${again.origin}/s/${link.token}`)).status, 404);
    assert.equal((await reads(again.origin)).status, 403);
    const { access_token: fresh } = await signIn(again.origin, ADMIN.id, ADMIN.secret);
    assert.equal(await isTokenValid(again.origin, fresh), true);
  });
}
