import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AuditLog } from '../../src/contracts/audit-log.ts';
import { Audit, type AuditEvent } from '../../src/identity/audit.ts';
import type { AuditEntry } from '../../src/records/audit.ts';
import { clockOf } from '../support/product/clock.ts';

const refusal = (members: Partial<AuditEvent> = {}): AuditEvent => ({
  action: 'refusal',
  outcome: 'refused',
  principal: null,
  tenant: null,
  address: '192.0.2.1',
  target: '/api/files/a',
  detail: 'unauthorized',
  requestId: 'r',
  ...members,
});

/** An audit log in memory. Its window ends when it is closed, or by the mock timers of the test. */
function auditOf(failure: Error | null = null) {
  const stored: AuditEntry[] = [];
  const failed: AuditEntry[] = [];
  const log: AuditLog = {
    append: async (entry) => {
      if (failure) throw failure;
      stored.push(entry);
    },
    page: async () => ({ entries: [], nextCursor: null }),
    close: async () => {},
  };
  let now = 1_000;
  const clock = clockOf(() => now++);
  return { audit: new Audit({ log, clock, onFailed: (entry) => failed.push(entry) }), stored, failed };
}

test('an entry is stored with its time and principal', async () => {
  const { audit, stored } = auditOf();
  await audit.record(refusal({ action: 'client_created', outcome: 'ok', principal: { id: 'p', kind: 'person' } }));
  assert.deepEqual(stored, [
    {
      time: 1000,
      action: 'client_created',
      outcome: 'ok',
      principal: 'p',
      kind: 'person',
      tenant: null,
      address: '192.0.2.1',
      target: '/api/files/a',
      detail: 'unauthorized',
      requestId: 'r',
      count: 1,
    },
  ]);
  await audit.close();
});

test('repeated entries are stored as the first one and a count', async () => {
  const { audit, stored } = auditOf();
  for (let n = 0; n < 5000; n += 1)
    audit.recordAggregated(refusal({ target: `/api/files/${n}`, requestId: String(n) }));
  audit.recordAggregated(refusal({ address: '192.0.2.2' }));
  audit.recordAggregated(refusal({ detail: 'forbidden' }));
  await audit.close();
  assert.deepEqual(
    stored.map(({ address, detail, count, time }) => [address, detail, count, time]),
    [
      ['192.0.2.1', 'unauthorized', 1, 1000],
      ['192.0.2.2', 'unauthorized', 1, 6000],
      ['192.0.2.1', 'forbidden', 1, 6001],
      ['192.0.2.1', 'unauthorized', 4999, 1001],
    ],
  );
});

test('a new window begins with an entry of its own', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { audit, stored } = auditOf();
  for (let n = 0; n < 3; n += 1) audit.recordAggregated(refusal());
  t.mock.timers.tick(10_000);
  assert.deepEqual(
    stored.map(({ count }) => count),
    [1, 2],
  );
  audit.recordAggregated(refusal());
  assert.deepEqual(
    stored.map(({ count }) => count),
    [1, 2, 1],
  );
  t.mock.timers.tick(10_000);
  assert.equal(stored.length, 3, 'a single entry has no count');
  await audit.close();
});

test('repeated entries from many addresses take bounded memory and are counted', async () => {
  const { audit, stored } = auditOf();
  for (let n = 0; n < 50_000; n += 1) audit.recordAggregated(refusal({ address: `10.0.${n >> 8}.${n & 255}` }));
  await audit.close();
  assert.equal(stored.length, 1002);
  assert.equal(
    stored.reduce((sum, { count }) => sum + count, 0),
    50_000,
  );
  assert.deepEqual(stored.at(-1)?.address, null);
});

test('an entry that cannot be stored is reported and does not fail the request', async () => {
  const { audit, failed } = auditOf(new Error('full'));
  await audit.record(refusal());
  audit.recordAggregated(refusal());
  await audit.close();
  assert.equal(failed.length, 2);
});
