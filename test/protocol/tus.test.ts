/** Header fields of tus with Base64 values: any length and padding is parsed or refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../src/errors.ts';
import { parseChecksum, parseMetadata } from '../../src/protocol/http/tus.ts';

/** Returns the result of `read`, or the code of its LadingError. Any other error fails the test. */
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

test('a checksum of any length and padding is parsed or refused', () => {
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

test('metadata of any length and padding is parsed or refused', () => {
  for (const encoded of padded) {
    const found = outcome(() => parseMetadata(`key ${encoded}`));
    if (typeof found === 'string') assert.equal(found, 'invalid_request', encoded);
    else assert.deepEqual(found.get('key'), new Uint8Array(Buffer.from(encoded, 'base64')), encoded);
  }
});
