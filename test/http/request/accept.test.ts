/** Which of two media types an Accept field would rather have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefersText } from '../../../src/http/request/accept.ts';

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

test('text is sent to those who prefer it', () => {
  for (const [accept, text] of CASES) assert.equal(prefersText(accept), text, accept);
});
