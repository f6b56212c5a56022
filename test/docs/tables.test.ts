/** The tables in the documentation match the code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE } from '../../src/errors.ts';
import { settingsTable } from '../../src/settings/help-text.ts';
import { page, tableRows } from '../support/pages.ts';
import { startServer } from '../support/product/server.ts';

test('docs/settings.md contains the table of settings', () => {
  const table = settingsTable();
  assert.ok(
    page('docs/settings.md').includes(`\n\n${table}\n\n`),
    `docs/settings.md should contain this table:\n${table}`,
  );
});

test('docs/errors.md lists the catalogue in its order', () => {
  const rows = tableRows('Code', page('docs/errors.md'));
  const documented = rows.map(([code, status]) => [code?.replaceAll('`', ''), Number(status)]);
  assert.deepEqual(
    documented,
    Object.entries(CATALOGUE).map(([code, { status }]) => [code, status]),
  );
  for (const [code, , meaning] of rows) assert.notEqual(meaning, '', `${code} has no meaning`);
});

test('docs/protocol.md lists errors with their status', () => {
  for (const [status = '', codes = ''] of tableRows('Status', page('docs/protocol.md'))) {
    for (const [, code = ''] of codes.matchAll(/`([a-z]+_[a-z_]+|forbidden|unauthorized|overloaded)`/g)) {
      const known = CATALOGUE[code as keyof typeof CATALOGUE];
      assert.ok(known !== undefined && status.includes(String(known.status)), `${code} is not ${status}`);
    }
  }
});

test('docs/http-api.md lists the routes of the server', async (t) => {
  const { origin } = await startServer(t);
  const { paths } = (await (await fetch(`${origin}/openapi.json`)).json()) as { paths: Record<string, Operations> };
  const served = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { parameters = [] }]) => {
      const takesOwner = parameters.some(({ name }) => name === 'owner') ? ' ·' : '';
      return `${method.toUpperCase()} ${anyParameter(path)}${takesOwner}`;
    }),
  );
  // The two routes that describe the interface do not describe themselves.
  const all = [...served, 'GET /openapi.json', 'GET /docs'];
  assert.deepEqual(documentedRoutes().sort(), all.sort());
  for (const path of ['/openapi.json', '/docs']) assert.equal((await fetch(`${origin}${path}`)).status, 200);
});

type Operations = Record<string, { parameters?: { name: string }[] }>;

/** `GET, HEAD `/a/{x}` ·` as `GET /a/{} ·` and `HEAD /a/{} ·`. */
function documentedRoutes(): string[] {
  return tableRows('Route', page('docs/http-api.md')).flatMap(([cell = '']) => {
    const mark = cell.endsWith('·') ? ' ·' : '';
    return [...cell.matchAll(/([A-Z]+(?:, [A-Z]+)*) `([^`?]+)[^`]*`/g)].flatMap(([, methods = '', path = '']) =>
      methods.split(', ').map((method) => `${method} ${anyParameter(path)}${mark}`),
    );
  });
}

function anyParameter(path: string): string {
  return path.replace(/\{[^}]*\}/g, '{}');
}
