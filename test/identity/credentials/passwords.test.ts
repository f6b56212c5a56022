import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkPassword, checkPasswordNow, type PersonalData } from '../../../src/identity/credentials/passwords.ts';
import { checkEmail, checkPersonalName } from '../../../src/identity/subjects/profile.ts';

const anna = { email: 'anna.smith@harbour-works.example', name: 'Anna', surname: 'Smith' };

async function refusal(password: string, known: PersonalData = anna): Promise<string | null> {
  try {
    await checkPassword(password, known);
    return null;
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'validation_failed', String(error));
    return error.message;
  }
}

test('strong passwords are accepted', async () => {
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
  for (const password of good) assert.equal(await refusal(password), null, password);
});

test('a password has 8 to 128 characters', async () => {
  const long = 'lqnvzbexthoiwurdkfsamcygjp'.repeat(5);
  assert.equal(await refusal(long.slice(0, 128)), null);
  assert.match((await refusal(long.slice(0, 129))) ?? '', /too long; it may have at most 128/);
  assert.equal(await refusal('hT9$kq2!'), null);
  assert.match((await refusal('hT9$kq2')) ?? '', /too short; it needs at least 8/);
  assert.match((await refusal('')) ?? '', /too short/);
  // Seven characters, which are eight code points before composition, and fourteen code units.
  assert.match((await refusal('hT9$kqe\u0301')) ?? '', /too short/);
  assert.match((await refusal('🦔🦉🐢🦊🐝🦑🦞')) ?? '', /too short/);
});

test('common passwords and their variations are refused', async () => {
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
    'midnight',
    'blink182',
    'Midnight!',
    'liverpool1',
    'monkey2020',
    'the-password',
    'Pásswörd1',
    'ṕäśśẃöŕđ',
    'mídñíght',
  ];
  for (const password of common) assert.match((await refusal(password)) ?? 'taken', /easy to guess/, password);
});

test('simple passwords are refused', async () => {
  const simple = [
    'aaaaaaaaaaaaaaaa',
    'abcdefghijklmnop',
    'zyxwvutsrqponm',
    '0123456789012',
    '19841231',
    '02071234567',
    '+14155550123',
    '(415) 555-0123',
    '1984 - 12 - 31',
    'abababababab',
    'xkqxkqxkqxkq',
    'asdfghjklöä',
    'mnbvcxzlkjhgf',
    'йцукенгшщз',
    '!!!!!!!!!!!!',
    '1111222233334444',
    'aaaabbbbccccdddd',
  ];
  for (const password of simple) assert.match((await refusal(password)) ?? 'taken', /easy to guess/, password);
});

test('a password made of a name or an address is refused', async () => {
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
  for (const password of personal) assert.match((await refusal(password)) ?? 'taken', /your name/, password);
  assert.equal(await refusal('annals of seven oceans'), null);
  assert.equal(await refusal('Anna.Smith walrus', { email: 'bo@x.example', name: 'Bo', surname: 'Li' }), null);
});

test('a password with control characters is refused', async () => {
  for (const password of ['violet\u0000kettle', 'violet\nkettle', 'violet\ud800kettle']) {
    assert.match((await refusal(password)) ?? 'taken', /contains control characters/);
  }
});

test('a password made of the name of the server is refused, and every refusal has advice', async () => {
  const known = { email: 'bo@x.example', site: 'files.harbour-works.example' };
  for (const password of [
    'lading2026',
    'Lading!!!',
    'harbour-works1',
    'files.harbour-works.example',
    'l4d1ng-l4d1ng',
  ]) {
    const said = (await refusal(password, known)) ?? 'taken';
    assert.match(said, /name of this server|easy to guess/, password);
    assert.match(said, /Choose several unrelated words/, password);
  }
});

test('every password is estimated in a thread within bounded time', async () => {
  const hostile = ['4@$5!1|0(', '1984-12-31', 'p@$$w0rd', '1234567890', 'lqnvzbexthoiwurdkfsamcygj', '🦔', 'zxcvbn1!'];
  const before = performance.eventLoopUtilization();
  const spent = process.cpuUsage();
  await Promise.all(hostile.map((text) => refusal([...text.repeat(128)].slice(0, 128).join(''))));
  const { active } = performance.eventLoopUtilization(before);
  const { user } = process.cpuUsage(spent);
  assert.ok(user < 20_000_000, `${user / 1000} ms of processor`);
  assert.ok(active < 2000, `the main thread was held for ${active} ms`);
});

test('the thread and the synchronous function give the same result', async () => {
  for (const password of ['midnight', 'blink182', 'violet kettle under nine bridges', 'hT9$kq2!', 'Freitag13!']) {
    const said = await refusal(password);
    if (said === null) checkPasswordNow(password, anna);
    else assert.throws(() => checkPasswordNow(password, anna), { message: said });
  }
});

test('every text has a result that does not depend on its Unicode normalization', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 140 }), async (password) => {
      assert.equal(await refusal(password.normalize('NFD')), await refusal(password.normalize('NFC')));
    }),
    { numRuns: 50 },
  );
});

test('e-mail addresses are normalized', () => {
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

test('names of any script are composed and trimmed, and control characters are refused', () => {
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
