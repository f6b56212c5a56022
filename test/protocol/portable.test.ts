import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from '../support/root.ts';

/** Packages that run in browsers as well. */
const PORTABLE = ['crc-32', 'structured-headers', 'typebox'];
const SERVER_ONLY = new Map([
  ['http/media-types.ts', ['mime-types']],
  ['http/disposition.ts', ['content-disposition']],
  ['ip.ts', ['node:net', 'ipaddr.js']],
]);

const folder = join(repoRoot(), 'src/protocol');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

test('src/protocol imports only itself, the error catalogue and portable packages, so that it runs in browsers', () => {
  assert.ok(files.length >= 9);
  for (const name of files) {
    const text = readFileSync(join(folder, name), 'utf8');
    const imports = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?'([^']+)'/g)].map((match) => match[1] ?? '');
    for (const from of imports) {
      const target = normalize(join(dirname(name), from));
      const own = from.startsWith('.') && (!target.startsWith('..') || target === '../errors.ts');
      const serverOnly = /media-types|disposition/.test(from);
      assert.ok(!serverOnly || SERVER_ONLY.has(name), `${name} imports ${from}, which is server only`);
      const allowed = own || PORTABLE.includes(from) || SERVER_ONLY.get(name)?.includes(from);
      assert.ok(allowed, `${name} imports ${from}`);
    }
    assert.doesNotMatch(
      text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''),
      /(?<!\.)\b(?:Buffer|process|require|setImmediate)\b/,
      name,
    );
  }
});

test('the error catalogue imports nothing', () => {
  assert.doesNotMatch(readFileSync(join(repoRoot(), 'src/errors.ts'), 'utf8'), /^import|\brequire\(/m);
});
