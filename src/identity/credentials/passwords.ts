/**
 * Password policy: a password is long enough, contains little personal data, and takes at least a hundred million guesses. There are no
 * rules about character classes, which lead to Passw0rd! (NIST SP 800-63B §3.1.1.2).
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { LadingError } from '../../errors.ts';
import { type Asker, FairQueue } from '../limits/fair-queue.ts';
import { LOOKED_AT, loadEstimator, type Strength, type StrengthTask } from './password-strength.ts';

/** In characters, not in bytes. */
export const PASSWORD_CHARACTERS = { least: 8, most: 128 } as const;
/** The estimate for eight random characters. */
const MIN_GUESSES = 1e8;
/** Below this length, digits alone may be a date or a telephone number. */
const FEW_DIGITS = 12;
/** Separators in dates and telephone numbers. */
const BETWEEN_DIGITS = /[\s()+./-]/g;
/** No repetition of a common password is longer. */
const MAX_REPEATED = 64;
/** Minimum length when each run of neighbouring characters counts as one. */
const MIN_UNRELATED = 5;
/** Each estimate takes at most a tenth of a second in the single thread. */
const TURNS = new FairQueue({ atOnce: 1, waiting: 64, waitingEach: 32 });
const IDLE_THREAD_MS = 60_000;

/** Personal data of the person, which must not make up the password. */
export interface Known {
  email: string;
  name?: string;
  surname?: string;
  /** Name of this server: the host of its address. */
  site?: string;
}

const PRODUCT = 'lading';
const ADVICE = 'Choose several unrelated words, or let a password manager make one.';

/**
 * Checks a password that a person chose. The estimate runs in a separate thread.
 * @throws LadingError `validation_failed` with the reason and advice; `overloaded`
 */
export async function checkPassword(password: string, known: Known, asker?: Asker): Promise<void> {
  refuseFor(formOf(password, known));
  for (const task of tasksOf(password, known)) {
    refuseFor(reasonOf(await TURNS.run(() => estimated(task), asker), password));
  }
}

/**
 * Like `checkPassword`, but synchronous, for settings that are read before the server starts. Takes half a second.
 * @throws LadingError `validation_failed`
 */
export function checkPasswordNow(password: string, known: Known): void {
  refuseFor(formOf(password, known));
  const estimate = loadEstimator();
  for (const task of tasksOf(password, known)) refuseFor(reasonOf(estimate(task), password));
}

function refuseFor(reason: string | null): void {
  if (reason !== null) throw new LadingError('validation_failed', reason);
}

/** What is wrong with a password apart from its strength; null: nothing. */
function formOf(given: string, known: Known): string | null {
  const password = given.normalize('NFC');
  const { least, most } = PASSWORD_CHARACTERS;
  const { length } = [...password];
  if (length < least) return `The password is too short; it needs at least ${least} characters.`;
  if (length > most) return `The password is too long; it may have at most ${most} characters.`;
  if (/\p{Cc}/u.test(password) || /\p{Cs}/u.test(password))
    return 'The password contains control characters or invalid Unicode.';
  const lower = plainOf(password);
  if (isPersonal(lower, known)) {
    return `The password must not be made of your name, your e-mail address or the name of this server. ${ADVICE}`;
  }
  return isSimple(lower) ? `This password is easy to guess. ${ADVICE}` : null;
}

function reasonOf({ guesses, warning }: Strength, password: string): string | null {
  // The estimator does not see the end of a long password. It counts unless it is repetitive.
  if (guesses >= MIN_GUESSES || (password.length > LOOKED_AT && !isSimple(plainOf(password.slice(LOOKED_AT)))))
    return null;
  return `This password is easy to guess. ${warning === null ? '' : `${warning} `}${ADVICE}`;
}

function plainOf(password: string): string {
  return password.normalize('NFKC').toLowerCase();
}

/** The password, also without separators between its letters (`p a s s w o r d`) and without accents (`pásswörd`). */
function tasksOf(password: string, known: Known): StrengthTask[] {
  const words = [...new Set(wordsOf(known))];
  const whole = password.normalize('NFKC');
  const joined = whole.replaceAll(/(?<=\p{L})[ ._-]+(?=\p{L})/gu, '');
  const plain = joined.normalize('NFD').replaceAll(/\p{M}/gu, '').normalize('NFC');
  const forms = new Set([whole, joined, plain]);
  return [...forms].map((form) => ({ password: [...form].slice(0, LOOKED_AT).join(''), words }));
}

let thread: Piscina | null = null;

async function estimated(task: StrengthTask): Promise<Strength> {
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
function squeezed(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/** The repeated unit of a text: `ab` for `abab`; otherwise the text itself. */
function unitOf(text: string): string {
  return (text.length <= MAX_REPEATED ? /^(.+?)\1+$/su.exec(text)?.[1] : undefined) ?? text;
}

/** Names and addresses as they may appear in a password, in lower case. */
function wordsOf({ email, name = '', surname = '', site = '' }: Known): string[] {
  const [local = '', domain = ''] = email.split('@');
  const [label = ''] = domain.split('.');
  const ofSite = [site, ...site.split(/[^\p{L}\p{N}-]/u)];
  return [
    ...[email, local, domain, label, `${local}${label}`],
    ...[name, surname, `${name}${surname}`, `${surname}${name}`],
    ...[...ofSite, PRODUCT],
  ]
    .map((word) => squeezed(plainOf(word)))
    .filter((word) => word.length >= 3);
}

/** True if little remains without the person's own words, also when digits and signs substitute letters. */
function isPersonal(lower: string, known: Known): boolean {
  const words = wordsOf(known).sort((a, b) => b.length - a.length);
  return [lower, lettersOf(lower, 'i'), lettersOf(lower, 'l')].some((written) => {
    const text = squeezed(written);
    const rest = words.reduce((left, word) => left.replaceAll(word, ''), text);
    return rest.length < MIN_UNRELATED && rest.length < text.length;
  });
}

/** Common substitutions of letters. 1 and ! may replace i or l, so they are not in the table. */
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

function isSimple(lower: string): boolean {
  const characters = [...unitOf(lower)];
  if (characters.length < PASSWORD_CHARACTERS.least) return true;
  const digits = lower.replaceAll(BETWEEN_DIGITS, '');
  if (/^\p{N}+$/u.test(digits) && digits.length < FEW_DIGITS) return true;
  if (new Set(characters).size < MIN_UNRELATED) return true;
  const unrelated = characters.filter((char, i) => i === 0 || !follows(characters[i - 1] ?? '', char));
  return unrelated.length < MIN_UNRELATED;
}
