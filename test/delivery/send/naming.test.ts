import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_PATTERN, isPattern, namesFor, remoteName } from '../../../src/delivery/send/naming.ts';

const FILE = { completedAt: Date.UTC(2026, 10, 27, 8, 5, 9), clientId: 'camera-7', name: 'monday.wav', id: 'ab12' };

test('the default name is YYYYMMDD_HHMMSS_<client_id>_<name>, in UTC', () => {
  assert.equal(remoteName(DEFAULT_PATTERN, FILE), '20261127_080509_camera-7_monday.wav');
  assert.equal(remoteName('{name}', { ...FILE, name: 'a/b\\c.wav' }), 'a_b_c.wav');
  assert.equal(remoteName('{id}-{name}', FILE), 'ab12-monday.wav');
});

test('names with a special meaning to a server or a shell are replaced', () => {
  for (const [name, wanted] of [
    ['..', '__'],
    ['../../etc/passwd', '___.._etc_passwd'],
    ['-rf', '_rf'],
    ['.htaccess', '_htaccess'],
    ['a\r\nDELE b', 'a__DELE b'],
    ['~root', '_root'],
    ['{id}', '{id}'],
  ] as const) {
    assert.equal(remoteName('{name}', { ...FILE, name }), wanted);
  }
});

test('a remote name has at most 255 bytes, no path separators or control characters, and keeps its extension', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 400 }), (name) => {
      const remote = remoteName(DEFAULT_PATTERN, { ...FILE, name: `${name}.wav` });
      assert.ok(Buffer.byteLength(remote) <= 255);
      assert.ok(!/[/\\\p{Cc}]/u.test(remote));
      assert.ok(remote.endsWith('.wav') && remote.startsWith('20261127_080509_camera-7_'));
      assert.equal(Buffer.from(remote).toString(), remote);
    }),
  );
});

test('a valid pattern has known placeholders and distinguishes files', () => {
  for (const pattern of [DEFAULT_PATTERN, '{name}', '{id}.bin', 'in-{date}-{id}'])
    assert.ok(isPattern(pattern), pattern);
  for (const pattern of ['', '{date}', 'x', '{nam}', '{name', 'a/{name}', '{name}\n', '{{name}}']) {
    assert.ok(!isPattern(pattern), pattern);
  }
});

test('the alternatives to a name are distinct and at most 255 bytes long', () => {
  assert.deepEqual([...namesFor('a.wav')].slice(0, 3), ['a.wav', 'a_2.wav', 'a_3.wav']);
  assert.deepEqual([...namesFor('a')].slice(1, 2), ['a_2']);
  const names = [...namesFor(`${'ü'.repeat(125)}.wav`)];
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.every((name) => Buffer.byteLength(name) <= 255 && name.endsWith('.wav')));
});
