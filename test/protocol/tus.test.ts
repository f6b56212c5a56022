/** Header fields of tus that hold Base64: whatever follows the grammar is read or refused, whatever its length and padding. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../src/errors.ts';
import { parseChecksum, parseMetadata } from '../../src/protocol/http/tus.ts';

/** What `read` returns, or the code that it refuses with; any other error fails the test. */
function outcome<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof LadingError) return error.code;
    throw error;
  }
}

const DIGITS = 'JwXPabcdefghijklmnopqrstuvwxyz0123456789+/ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const padded = [...Array(50).keys()].flatMap((length) =>
  ['', '=', '=='].map((padding) => `${DIGITS.slice(0, length)}${padding}`),
);

test('a checksum of any length and padding is read or refused', () => {
  for (const name of ['sha1', 'md5', 'sha256', 'crc32']) {
    for (const encoded of padded) {
      const found = outcome(() => parseChecksum(`${name} ${encoded}`));
      if (typeof found === 'string') assert.equal(found, 'invalid_request', `${name} ${encoded}`);
      else assert.deepEqual(found.value, new Uint8Array(Buffer.from(encoded, 'base64')), `${name} ${encoded}`);
    }
  }
  assert.equal(typeof outcome(() => parseChecksum(`sha1 ${DIGITS.slice(0, 27)}=`)), 'object');
  assert.equal(
    outcome(() => parseChecksum('sha1 JwXP+af3CP+af3C5nmlVlDMpeYm5+MZJc=')),
    'invalid_request',
  );
});

test('metadata of any length and padding is read or refused', () => {
  for (const encoded of padded) {
    const found = outcome(() => parseMetadata(`key ${encoded}`));
    if (typeof found === 'string') assert.equal(found, 'invalid_request', encoded);
    else assert.deepEqual(found.get('key'), new Uint8Array(Buffer.from(encoded, 'base64')), encoded);
  }
});
