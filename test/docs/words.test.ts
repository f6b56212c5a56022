/** The documentation is written in plain English, begins each page with its subject, and speaks of the product alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGES, page, prose } from '../support/pages.ts';

/** Words that CONTRIBUTING.md rules out, with what to write. Tables of settings come from the code and are left out. */
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

test('pages avoid words that a reader stumbles over', () => {
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

test('pages name no place of the machine they were written on', () => {
  for (const path of PAGES) assert.doesNotMatch(page(path), /\/work\/|\/root\/|\bissue #?\d/, path);
});
