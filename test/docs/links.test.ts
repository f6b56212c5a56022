/** Links in the documentation and references to it from comments are valid. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { anchors, blocks, PAGES, page, prose } from '../support/pages.ts';
import { repoRoot } from '../support/root.ts';

test('every internal link leads to an existing file and heading', () => {
  let seen = 0;
  for (const path of PAGES) {
    for (const [, target = ''] of prose(page(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? path : join(dirname(path), file);
      assert.ok(existsSync(join(repoRoot(), linked)), `${path}: ${target}: no such file`);
      if (anchor !== undefined) assert.ok(anchors(page(linked)).has(anchor), `${path}: ${target}: no such heading`);
      seen += 1;
    }
  }
  assert.ok(seen > 50, `only ${seen} links`);
});

test('the README links to every page', () => {
  const linked = [...page('README.md').matchAll(/\]\(([^)#\s]+)/g)].map(([, target]) => target);
  for (const path of PAGES) {
    if (path !== 'README.md' && !path.startsWith('clients/')) assert.ok(linked.includes(path), `no link to ${path}`);
  }
});

test('every section of the protocol that a comment cites exists', () => {
  const sections = new Set([...page('docs/protocol.md').matchAll(/^## (\d+)\. /gm)].map(([, number]) => number));
  let seen = 0;
  for (const path of ['src', 'workers', 'test', 'bench'].flatMap(sources)) {
    const text = readFileSync(join(repoRoot(), path), 'utf8');
    for (const [citation, section] of text.matchAll(/PROTOCOL(?:\.md)? §(\d+)/g)) {
      assert.ok(sections.has(section), `${path}: ${citation}: docs/protocol.md has no such section`);
      seen += 1;
    }
  }
  assert.ok(seen > 10, `only ${seen} citations`);
});

test('every page that the source names exists', () => {
  for (const path of ['src', 'workers'].flatMap(sources)) {
    const text = readFileSync(join(repoRoot(), path), 'utf8');
    for (const [name] of text.matchAll(/\bdocs\/[a-z-]+\.md\b/g)) {
      assert.ok(existsSync(join(repoRoot(), name)), `${path}: there is no ${name}`);
    }
  }
});

test('every source file and directory that the documentation names exists', () => {
  const root = repoRoot();
  let seen = 0;
  for (const path of PAGES) {
    for (const [, named = ''] of page(path).matchAll(/`((?:src|workers|test|deploy|examples|scripts)\/[\w./-]*)`/g)) {
      assert.ok(existsSync(join(root, named)), `${path}: there is no ${named}`);
      seen += 1;
    }
  }
  assert.ok(seen > 10);
});

test('every directory in the tree of docs/architecture.md exists', () => {
  const [tree] = blocks(page('docs/architecture.md'));
  if (tree === undefined) throw new Error('docs/architecture.md has no tree');
  let top = '';
  let seen = 0;
  for (const line of tree.body.trimEnd().split('\n')) {
    if (!line.startsWith(' ')) top = /^\S+/.exec(line)?.[0] ?? '';
    for (const [name] of line.matchAll(/(?<![\w/.-])[a-z][\w-]*(?:\/[\w-]+)*\//g)) {
      const directory = name === top || /^(?:src|test)\//.test(name) ? name : top + name;
      assert.ok(existsSync(join(repoRoot(), directory)), `docs/architecture.md: there is no ${directory}`);
      seen += 1;
    }
  }
  assert.ok(seen > 40);
});

test('every npm script that a page names exists', () => {
  const { scripts } = JSON.parse(page('package.json')) as { scripts: object };
  let seen = 0;
  for (const path of PAGES) {
    for (const [, run, short] of page(path).matchAll(/npm (?:run ([a-z:]+)|(start|test)\b)/g)) {
      const name = run ?? short ?? '';
      assert.ok(name in scripts, `${path}: there is no script ${name}`);
      seen += 1;
    }
  }
  assert.ok(seen > 5);
});

/** The paths of all source files below a directory, relative to the root of the repository. */
function sources(directory: string): string[] {
  return readdirSync(join(repoRoot(), directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:ts|tsx|js|mjs)$/.test(name))
    .map((name) => join(directory, name));
}
