/** The media type that an Accept field prefers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefersHtml, prefersText } from '../../../src/http/request/accept.ts';

const CASES: [accept: string | undefined, text: boolean][] = [
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['text/plain', true],
  ['Text/Plain; charset=utf-8', true],
  ['text/*', true],
  ['text/plain, */*', true],
  ['application/json', false],
  ['application/json, text/plain', false],
  ['application/json;q=0.5, text/plain', true],
  ['text/plain;q=0.5, application/json', false],
  ['text/plain;q=0, */*', false],
  ['text/plain;q=0', false],
  ['text/html, */*;q=0.1', false],
  ['text/plain;q=2', false],
];

test('plain text is sent only to a client that prefers it to JSON', () => {
  for (const [accept, text] of CASES) assert.equal(prefersText(accept), text, accept);
});

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

test('a page is sent only to a client that accepts HTML and does not prefer JSON', () => {
  for (const accept of [BROWSER, 'text/html', 'application/json;q=0.5, text/html'])
    assert.equal(prefersHtml(accept), true, accept);
  for (const accept of [undefined, '', '*/*', 'text/*', 'text/html;q=0', 'application/json, text/html'])
    assert.equal(prefersHtml(accept), false, accept);
});
