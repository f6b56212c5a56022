import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { COMMON_PASSWORDS } from '../../src/identity/common-passwords.ts';
import { checkPassword } from '../../src/identity/passwords.ts';
import { checkEmail, checkPersonalName } from '../../src/identity/personal.ts';

const anna = { email: 'anna.smith@harbour-works.example', name: 'Anna', surname: 'Smith' };

function refusal(password: string, known = anna): string | null {
  try {
    checkPassword(password, known);
    return null;
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'validation_failed', String(error));
    return error.message;
  }
}

test('good passwords are taken', () => {
  const good = [
    'violet kettle under nine bridges',
    'Tr4mway-Lantern-Osprey',
    'hT9$kq2!',
    '83026174950238',
    'жаркий чайник под мостом',
    '中文密码很难猜到吗',
    'p'.concat('lqnvzbexthoiwurdkfsamcygj'.repeat(5)).slice(0, 128),
    '👩‍🚀 rides 🦔 home',
    'cafe\u0301 at the quay',
  ];
  for (const password of good) assert.equal(refusal(password), null, password);
});

test('length counts in characters, from 8 to 128', () => {
  const long = 'lqnvzbexthoiwurdkfsamcygjp'.repeat(5);
  assert.equal(refusal(long.slice(0, 128)), null);
  assert.match(refusal(long.slice(0, 129)) ?? '', /too long; it may have at most 128/);
  assert.equal(refusal('hT9$kq2!'), null);
  assert.match(refusal('hT9$kq2') ?? '', /too short; it needs at least 8/);
  assert.match(refusal('') ?? '', /too short/);
  // Seven characters, although eight code points before they are composed, and fourteen code units.
  assert.match(refusal('hT9$kqe\u0301') ?? '', /too short/);
  assert.match(refusal('🦔🦉🐢🦊🐝🦑🦞') ?? '', /too short/);
});

test('common passwords are refused, and what people make of them', () => {
  const common = [
    'password',
    'PASSWORD',
    'Password1',
    'Passw0rd!',
    'p@$$w0rd',
    'P4ssw0rd2026',
    'password123!!',
    '123password',
    'pass-word',
    'p a s s w o r d',
    'iloveyou2',
    '1loveyou',
    'qwertyuiop',
    'Qwerty123!',
    '1q2w3e4r',
    '1Q2W3E4R!',
    'letmein99',
    'l3tm31n!!',
    'trustno1',
    'sunshine',
    'dragondragon',
    'Monkey2020',
    'administrator',
    'adm1n1strat0r',
    'ｐａｓｓｗｏｒｄ',
    'hell0123',
    'changeme!',
    'contraseña',
  ];
  for (const password of common) assert.match(refusal(password) ?? 'taken', /among the first that are tried/, password);
});

test('every common password is refused, with anything simple behind it', () => {
  for (const word of COMMON_PASSWORDS) {
    for (const password of [word, `${word}1`, `${word}2026!`, word.toUpperCase()])
      assert.ok(refusal(password), password);
  }
  assert.ok(COMMON_PASSWORDS.size >= 1000);
});

test('what is simple is refused', () => {
  const simple = [
    'aaaaaaaaaaaaaaaa',
    'abcdefghijklmnop',
    'zyxwvutsrqponm',
    '0123456789012',
    '19841231',
    '02071234567',
    'abababababab',
    'xkqxkqxkqxkq',
    'asdfghjklöä',
    'mnbvcxzlkjhgf',
    'йцукенгшщз',
    '!!!!!!!!!!!!',
    '1111222233334444',
    'aaaabbbbccccdddd',
  ];
  for (const password of simple)
    assert.match(refusal(password) ?? 'taken', /easy to guess|first that are tried/, password);
});

test('a name or an address is no password', () => {
  const personal = [
    'anna.smith@harbour-works.example',
    'Anna.Smith',
    'annasmith1990',
    '4nn45m1th',
    'SmithAnna!',
    'harbour-works',
    'harbourworks7',
    'xxAnnaSmithxx',
    'smith-smith-smith',
  ];
  for (const password of personal) assert.match(refusal(password) ?? 'taken', /name or e-mail/, password);
  assert.equal(refusal('annals of seven oceans'), null);
  assert.equal(refusal('Anna.Smith walrus', { email: 'bo@x.example', name: 'Bo', surname: 'Li' }), null);
});

test('what cannot be typed is refused', () => {
  for (const password of ['violet\u0000kettle', 'violet\nkettle', 'violet\ud800kettle']) {
    assert.match(refusal(password) ?? 'taken', /cannot be typed/);
  }
});

test('any text gets an answer, the same for every way to compose its letters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 140 }), (password) => {
      const answer = reasonOf(password.normalize('NFC'));
      assert.equal(reasonOf(password.normalize('NFD')), answer);
    }),
  );
});

function reasonOf(password: string): string | null {
  try {
    checkPassword(password, anna);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test('e-mail addresses are kept in one form', () => {
  assert.equal(checkEmail(' Anna.Smith@Harbour-Works.Example '), 'anna.smith@harbour-works.example');
  assert.equal(checkEmail('jose\u0301@exa\u006d\u0303ple.org'), checkEmail('JOS\u00c9@exam\u0303ple.org'));
  for (const good of ['a@b.example', "o'neil+box@mail.example.org", 'юля@почта.рф', `${'l'.repeat(64)}@b.example`]) {
    assert.equal(checkEmail(good), good.normalize('NFC'));
  }
  const bad = [
    '',
    'anna',
    'anna@',
    '@b.example',
    'anna@b',
    'anna@b..example',
    'anna@.example',
    'anna@-b.example',
    'anna@b-.example',
    '.anna@b.example',
    'anna.@b.example',
    'an..na@b.example',
    'an na@b.example',
    'anna@b.example, bo@b.example',
    'anna@bo@b.example',
    '"anna"@b.example',
    'anna@[127.0.0.1]',
    'anna\r\nBcc: bo@b.example',
    'anna\u0000@b.example',
    'anna\u202e@b.example',
    `${'l'.repeat(65)}@b.example`,
    `a@${'b.'.repeat(130)}example`,
    `a@${'b'.repeat(64)}.example`,
  ];
  for (const address of bad) assert.throws(() => checkEmail(address), { code: 'validation_failed' }, address);
});

test('names are composed and trimmed, of any script, and have no controls in them', () => {
  assert.equal(checkPersonalName('  Jose\u0301   Luis ', 'name'), 'José Luis');
  for (const good of ["O'Neil", 'Анна-Мария', '李', 'x'.repeat(100), '𝒜'.repeat(100)]) {
    assert.equal(checkPersonalName(good, 'surname'), good);
  }
  for (const bad of [
    '',
    '   ',
    'x'.repeat(101),
    'a\nb',
    'a\u0000b',
    'a\u202eb',
    'a\u200bb',
    'a\u2028b',
    'a\ud800b',
    'a\ufeffb',
  ]) {
    assert.throws(() => checkPersonalName(bad, 'name'), { code: 'validation_failed', message: /^The name must/ }, bad);
  }
});
