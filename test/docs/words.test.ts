/** The documentation uses plain English, begins each page with its subject, and describes only the product. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGES, page, prose } from '../support/pages.ts';

/** Words to avoid, with replacements. Table rows are skipped, because the table of settings comes from the code. */
const AVOIDED: readonly (readonly [RegExp, string])[] = [
  [/\bwhoever\b/i, 'a noun'],
  [/\bso and so\b/i, 'N'],
  [/(?<!there )\b(?:is|are) none\b|\bis nobody's\b/i, '“is not a …”'],
  [/\banother one\b/i, '“a different …”'],
  [/\bis told\b|\bare told\b/i, '“receives” or “is notified”'],
  [/\bgood for\b/i, '“valid” or “sufficient”'],
  [/\bis gone\b|\bare gone\b/i, '“deleted”, “removed” or “closed”'],
  [/\bstill stands\b/i, '“is still valid”'],
];

test('pages avoid unclear words', () => {
  for (const path of PAGES) {
    for (const [index, line] of prose(page(path)).split('\n').entries()) {
      if (line.startsWith('|')) continue;
      for (const [word, instead] of AVOIDED) {
        assert.doesNotMatch(line, word, `${path}:${index + 1}: write ${instead}`);
      }
    }
  }
});

test('every page begins with a heading and a paragraph', () => {
  for (const path of PAGES) {
    const [heading = '', blank, first = ''] = page(path).split('\n');
    assert.match(heading, /^# \S/, path);
    assert.equal(blank, '', path);
    assert.match(first, /^[A-Z]/, `${path}: say what the page is about and who needs it`);
    assert.equal(prose(page(path)).match(/^# /gm)?.length, 1, `${path}: one title`);
  }
});

test('the README stays short', () => {
  assert.ok(page('README.md').split('\n').length <= 201, 'move something to docs/');
});

test('pages contain no paths of a development machine', () => {
  for (const path of PAGES) assert.doesNotMatch(page(path), /\/work\/|\/root\/|\bissue #?\d/, path);
});
