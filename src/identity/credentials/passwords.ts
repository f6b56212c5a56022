/**
 * Password policy: a password is long enough, contains little personal data, and takes at least a hundred million guesses. There are no
 * rules about character classes, which lead to Passw0rd! (NIST SP 800-63B §3.1.1.2).
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { LadingError } from '../../errors.ts';
import { FairQueue, type Requester } from '../limits/fair-queue.ts';
import { loadEstimator, MAX_EXAMINED, type Strength, type StrengthTask } from './password-strength.ts';

/** In characters, not in bytes. */
export const PASSWORD_LENGTH = { min: 8, max: 128 } as const;
/** Roughly the guesses that eight random characters take. */
const MIN_GUESSES = 1e8;
/** A password that consists of fewer digits than this may be a date or a telephone number. */
const FEW_DIGITS = 12;
/** Separators in dates and telephone numbers. */
const BETWEEN_DIGITS = /[\s()+./-]/g;
/** Length up to which a repeated unit is searched for. */
const MAX_REPEATED = 64;
/** Minimum length when each run of neighbouring characters counts as one. */
const MIN_UNRELATED = 5;
/** Each estimate takes at most a tenth of a second in the single thread. */
const queue = new FairQueue({ concurrency: 1, waiting: 64, waitingPerNetwork: 32 });
const IDLE_THREAD_MS = 60_000;

/** Words that belong to the person or the server. The password must not consist of them. */
export interface PersonalData {
  email: string;
  name?: string;
  surname?: string;
  /** Name of this server: the host of its address. */
  site?: string;
}

const PRODUCT = 'lading';
const ADVICE = 'Choose several unrelated words, or let a password manager generate one.';

/**
 * Checks a password that a person chose. The estimate runs in a separate thread.
 * @throws LadingError `validation_failed` with the reason and advice; `overloaded`
 */
export async function checkPassword(password: string, personal: PersonalData, requester?: Requester): Promise<void> {
  throwIf(defectOf(password, personal));
  for (const task of tasksOf(password, personal)) {
    throwIf(weaknessOf(await queue.run(() => estimate(task), requester), password));
  }
}

/**
 * Like `checkPassword`, but synchronous, for settings that are read before the server starts. Takes half a second.
 * @throws LadingError `validation_failed`
 */
export function checkPasswordNow(password: string, personal: PersonalData): void {
  throwIf(defectOf(password, personal));
  const estimator = loadEstimator();
  for (const task of tasksOf(password, personal)) throwIf(weaknessOf(estimator(task), password));
}

function throwIf(reason: string | null): void {
  if (reason !== null) throw new LadingError('validation_failed', reason);
}

/** Why a password is not acceptable, apart from its strength; null if it is. */
function defectOf(given: string, personal: PersonalData): string | null {
  const password = given.normalize('NFC');
  const { min, max } = PASSWORD_LENGTH;
  const { length } = [...password];
  if (length < min) return `The password is too short; it needs at least ${min} characters.`;
  if (length > max) return `The password is too long; it may have at most ${max} characters.`;
  if (/\p{Cc}/u.test(password) || /\p{Cs}/u.test(password))
    return 'The password contains control characters or invalid Unicode.';
  const lower = normalized(password);
  if (isPersonal(lower, personal)) {
    return `The password must not be made of your name, your e-mail address or the name of this server. ${ADVICE}`;
  }
  return isSimple(lower) ? `This password is easy to guess. ${ADVICE}` : null;
}

/** Why the estimate is too low; null if it is not. */
function weaknessOf({ guesses, warning }: Strength, password: string): string | null {
  // The estimator does not examine the end of a long password, which is strong unless it is simple.
  if (guesses >= MIN_GUESSES || (password.length > MAX_EXAMINED && !isSimple(normalized(password.slice(MAX_EXAMINED)))))
    return null;
  return `This password is easy to guess. ${warning === null ? '' : `${warning} `}${ADVICE}`;
}

function normalized(password: string): string {
  return password.normalize('NFKC').toLowerCase();
}

/** Variants to estimate: the password as it is, without separators between letters (`p a s s w o r d`) and without accents (`pásswörd`). */
function tasksOf(password: string, personal: PersonalData): StrengthTask[] {
  const words = [...new Set(wordsOf(personal))];
  const composed = password.normalize('NFKC');
  const joined = composed.replaceAll(/(?<=\p{L})[ ._-]+(?=\p{L})/gu, '');
  const plain = joined.normalize('NFD').replaceAll(/\p{M}/gu, '').normalize('NFC');
  const forms = new Set([composed, joined, plain]);
  return [...forms].map((form) => ({ password: [...form].slice(0, MAX_EXAMINED).join(''), words }));
}

let thread: Piscina | null = null;

async function estimate(task: StrengthTask): Promise<Strength> {
  thread ??= new Piscina({
    filename: fileURLToPath(new URL('../../../workers/strength.js', import.meta.url)),
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: IDLE_THREAD_MS,
    // The thread needs no environment variables, and they may contain secrets.
    env: {},
    execArgv: [],
  });
  return (await thread.run(task)) as Strength;
}

/** Keeps only letters and digits. */
function lettersAndDigits(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/** The repeated unit of a text: `ab` for `abab`; otherwise the text itself. */
function unitOf(text: string): string {
  return (text.length <= MAX_REPEATED ? /^(.+?)\1+$/su.exec(text)?.[1] : undefined) ?? text;
}

/** Names and addresses as they may appear in a password, in lower case. */
function wordsOf({ email, name = '', surname = '', site = '' }: PersonalData): string[] {
  const [local = '', domain = ''] = email.split('@');
  const [label = ''] = domain.split('.');
  const siteNames = [site, ...site.split(/[^\p{L}\p{N}-]/u)];
  return [
    ...[email, local, domain, label, `${local}${label}`],
    ...[name, surname, `${name}${surname}`, `${surname}${name}`],
    ...[...siteNames, PRODUCT],
  ]
    .map((word) => lettersAndDigits(normalized(word)))
    .filter((word) => word.length >= 3);
}

/** True if little remains after the person's words are removed, also where digits and signs stand for letters. */
function isPersonal(lower: string, personal: PersonalData): boolean {
  const words = wordsOf(personal).sort((a, b) => b.length - a.length);
  return [lower, lettersOf(lower, 'i'), lettersOf(lower, 'l')].some((variant) => {
    const text = lettersAndDigits(variant);
    const rest = words.reduce((left, word) => left.replaceAll(word, ''), text);
    return rest.length < MIN_UNRELATED && rest.length < text.length;
  });
}

/** Letters that digits and signs stand for. 1 and ! may mean i or l, so they are not in the table. */
const LETTERS: Readonly<Record<string, string>> = {
  ...{ '0': 'o', '3': 'e', '4': 'a', '5': 's', '7': 't', '8': 'b', '9': 'g', '@': 'a', $: 's', '+': 't' },
};

function lettersOf(text: string, one: string): string {
  return [...text].map((char) => (char === '1' || char === '!' ? one : (LETTERS[char] ?? char))).join('');
}

const ROWS = [
  '1234567890',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'qwertzuiop',
  'azertyuiop',
  'йцукенгшщзхъ',
  'фывапролджэ',
  'ячсмитьбю',
];
const NEIGHBOURS: ReadonlySet<string> = new Set(
  ROWS.flatMap((row) => [...row].slice(1).flatMap((char, i) => [`${row[i]}${char}`, `${char}${row[i]}`])),
);

/** True if the character repeats the one before it, or neighbours it in the alphabet or on the keyboard: 1111, abcd, 4321, qwerty. */
function follows(before: string, char: string): boolean {
  const step = (char.codePointAt(0) ?? 0) - (before.codePointAt(0) ?? 0);
  return Math.abs(step) <= 1 || NEIGHBOURS.has(`${before}${char}`);
}

/** True if the password repeats a short unit, consists of few digits or of few unrelated characters. */
function isSimple(lower: string): boolean {
  const characters = [...unitOf(lower)];
  if (characters.length < PASSWORD_LENGTH.min) return true;
  const digits = lower.replaceAll(BETWEEN_DIGITS, '');
  if (/^\p{N}+$/u.test(digits) && digits.length < FEW_DIGITS) return true;
  if (new Set(characters).size < MIN_UNRELATED) return true;
  const unrelated = characters.filter((char, i) => i === 0 || !follows(characters[i - 1] ?? '', char));
  return unrelated.length < MIN_UNRELATED;
}
