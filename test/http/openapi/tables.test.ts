/** The tables of the tests cover the operations of the OpenAPI document, and every exception has a reason. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXCLUDED, isExcluded } from '../../fuzz/requests.ts';
import { SCHEMA_EXCLUDED } from '../../fuzz/schema.ts';
import { startServer } from '../../support/product/server.ts';
import { ACCESS_RULES } from '../../support/tables/access.ts';
import { FILE_WRITES } from '../../support/tables/file-writes.ts';
import { OPEN_QUERIES } from '../../support/tables/open-queries.ts';
import { operationsOf } from '../../support/tables/openapi.ts';
import { ROWS } from '../../support/tables/reply-fields.ts';
import { openRoutes } from '../../support/wire/unread.ts';

test('every entry of a table is an operation, and every operation is fuzzed or excluded with a reason', async (t) => {
  const { origin } = await startServer(t, { LADING_REGISTRATION: 'open' });
  const operations = await operationsOf(origin);
  const names = new Set(operations.map(({ name }) => name));
  assert.ok(names.size > 90, `${names.size} operations`);
  for (const name of [...FILE_WRITES.map(({ operation }) => operation), ...Object.keys(OPEN_QUERIES)]) {
    assert.ok(names.has(name), `${name} is no operation`);
  }
  assert.deepEqual(ACCESS_RULES.map(({ operation }) => operation).toSorted(), [...names].toSorted(), 'who may do what');
  assert.deepEqual(Object.keys(ROWS).toSorted(), [...names].toSorted(), 'what replies show');
  for (const [pattern, reason] of EXCLUDED) {
    assert.ok(
      [...names].some((name) => pattern.test(name)),
      `${pattern} leaves out nothing: ${reason}`,
    );
  }
  for (const { operation } of FILE_WRITES)
    assert.ok(!isExcluded(operation), `${operation} moves files and is not fuzzed`);
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { operationId?: string }>>;
  };
  const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map((one) => one.operationId));
  for (const id of Object.keys(SCHEMA_EXCLUDED)) assert.ok(ids.includes(id), `${id} is no operation`);
  assert.equal(new Set(ids).size, names.size, 'each operation has an id of its own');
  const asked = new Set((await openRoutes(origin)).map(({ method, path }) => `${method} ${path}`));
  for (const { needs, name } of operations) {
    if (needs === null) assert.ok(asked.has(name.replaceAll(/\{[^}]*\}/g, 'x')), `${name} is read by everybody`);
  }
});
