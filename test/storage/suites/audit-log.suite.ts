/** What every audit log must do. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AuditLog, AuditQuery } from '../../../src/contracts/audit-log.ts';
import type { AuditEntry } from '../../../src/records/audit.ts';
import { withCode } from '../../support/disk/storage.ts';
import type { BackendUnderTest } from './backends.ts';

export const DECEMBER = Date.UTC(2026, 11, 5);

export function entryOf(members: Partial<AuditEntry> = {}): AuditEntry {
  return {
    time: DECEMBER,
    action: 'sign_in',
    outcome: 'ok',
    principal: 'p1',
    kind: 'device',
    tenant: 'default',
    address: '192.0.2.1',
    target: null,
    detail: null,
    requestId: 'r1',
    count: 1,
    ...members,
  };
}

export function queryOf(members: Partial<AuditQuery> = {}): AuditQuery {
  return {
    tenant: null,
    includeTenantless: false,
    before: null,
    limit: 100,
    action: null,
    principal: null,
    ...members,
  };
}

/** The details of all entries, page by page. Checks that no page exceeds its limit. */
export async function detailsOf(log: AuditLog, members: Partial<AuditQuery> = {}): Promise<(string | null)[]> {
  const query = queryOf(members);
  const details: (string | null)[] = [];
  for (let before: string | null = query.before; ; ) {
    const { entries, nextCursor } = await log.page({ ...query, before });
    assert.ok(entries.length <= query.limit);
    details.push(...entries.map(({ detail }) => detail));
    if (nextCursor === null) return details;
    assert.notEqual(nextCursor, before, 'a cursor leads on');
    before = nextCursor;
  }
}

export function auditLogSuite(backend: BackendUnderTest): void {
  const name = `${backend.name} audit log`;

  /** `reopen` closes the log and opens a new one. */
  async function make(t: TestContext): Promise<{ log: AuditLog; reopen(): Promise<AuditLog> }> {
    const under = await backend.open(t);
    return { log: under.store.auditLog, reopen: async () => (await under.reopen()).auditLog };
  }

  test(`${name}: entries are returned unchanged and newest first, also after a restart`, async (t) => {
    const { log, reopen } = await make(t);
    const full = entryOf({ target: 'Überwachung "1"\nzwei', detail: 'of somebody', count: 7, outcome: 'refused' });
    const bare = entryOf({ principal: null, kind: null, tenant: null, address: null, requestId: null });
    await log.append(full);
    await log.append(bare);
    assert.deepEqual((await log.page(queryOf())).entries, [bare, full]);
    const again = await reopen();
    assert.deepEqual((await again.page(queryOf())).entries, [bare, full]);
    await again.append(entryOf({ detail: 'later' }));
    assert.deepEqual(await detailsOf(again), ['later', null, 'of somebody']);
  });

  test(`${name}: an empty log has one empty page`, async (t) => {
    const { log } = await make(t);
    assert.deepEqual(await log.page(queryOf()), { entries: [], nextCursor: null });
  });

  test(`${name}: concurrently appended entries keep their order, across months`, async (t) => {
    const { log } = await make(t);
    const days = Array.from({ length: 60 }, (_, day) => day);
    await Promise.all(
      days.map((day) => log.append(entryOf({ time: DECEMBER + day * 86_400_000, detail: String(day) }))),
    );
    const expected = days.map(String).reverse();
    for (const limit of [1, 7, 60, 1000]) assert.deepEqual(await detailsOf(log, { limit }), expected);
  });

  test(`${name}: a clock that is set back does not change the order`, async (t) => {
    const { log, reopen } = await make(t);
    await log.append(entryOf({ time: DECEMBER + 40 * 86_400_000, detail: 'first' }));
    await log.append(entryOf({ detail: 'second' }));
    await log.append(entryOf({ time: DECEMBER + 41 * 86_400_000, detail: 'third' }));
    assert.deepEqual(await detailsOf(log), ['third', 'second', 'first']);
    assert.deepEqual(await detailsOf(await reopen(), { limit: 1 }), ['third', 'second', 'first']);
  });

  test(`${name}: pages are filtered by action, principal and tenant, and entries without a tenant appear only on request`, async (t) => {
    const { log } = await make(t);
    await log.append(entryOf({ detail: 'a' }));
    await log.append(entryOf({ detail: 'b', action: 'refusal' }));
    await log.append(entryOf({ detail: 'c', principal: 'p2' }));
    await log.append(entryOf({ detail: 'd', tenant: 'other' }));
    await log.append(entryOf({ detail: 'e', tenant: null }));
    assert.deepEqual(await detailsOf(log, { action: 'refusal' }), ['b']);
    assert.deepEqual(await detailsOf(log, { principal: 'p2' }), ['c']);
    assert.deepEqual(await detailsOf(log, { tenant: 'other' }), ['d']);
    assert.deepEqual(await detailsOf(log, { tenant: 'default' }), ['c', 'b', 'a']);
    assert.deepEqual(await detailsOf(log, { tenant: 'default', includeTenantless: true }), ['e', 'c', 'b', 'a']);
    assert.deepEqual(await detailsOf(log, { tenant: 'default', principal: 'p1', limit: 1 }), ['b', 'a']);
  });

  test(`${name}: new entries do not shift pages`, async (t) => {
    const { log } = await make(t);
    for (const detail of ['1', '2', '3', '4']) await log.append(entryOf({ detail }));
    const first = await log.page(queryOf({ limit: 2 }));
    await log.append(entryOf({ detail: '5' }));
    assert.deepEqual(await detailsOf(log, { before: first.nextCursor }), ['2', '1']);
  });

  test(`${name}: an invalid cursor is refused, and a cursor of another log is harmless`, async (t) => {
    const { log } = await make(t);
    await log.append(entryOf({ detail: 'here' }));
    for (const before of ['', 'x', '../../etc/passwd', '-1', '1.5e3', '\0', '9'.repeat(400)]) {
      await assert.rejects(log.page(queryOf({ before })), withCode('invalid_request'));
    }
    const { log: other } = await make(t);
    for (let n = 0; n < 30; n += 1) await other.append(entryOf({ detail: 'x'.repeat(n) }));
    for (let before: string | null = null; ; ) {
      const { nextCursor } = await other.page(queryOf({ before, limit: 1 }));
      if (nextCursor === null) return;
      before = nextCursor;
      const details = await detailsOf(log, { before }).catch((error: unknown) => {
        assert.ok(withCode('invalid_request')(error), String(error));
        return [];
      });
      assert.ok(details.every((detail) => detail === 'here'));
    }
  });

  test(`${name}: entries beyond the limit of waiting ones are refused, and the waiting ones are stored`, async (t) => {
    const { log } = await make(t);
    const results = await Promise.allSettled(Array.from({ length: 50_000 }, () => log.append(entryOf())));
    const refused = results.filter((result) => result.status === 'rejected');
    assert.ok(refused.length > 0, 'entries in memory have a limit');
    for (const { reason } of refused) assert.ok(withCode('overloaded')(reason), String(reason));
    assert.equal((await detailsOf(log, { limit: 1000 })).length, results.length - refused.length);
  });
}
