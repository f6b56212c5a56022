/**
 * Which passwords a person may choose: long enough, nothing of their own, and nothing that is guessed in fewer than a hundred million
 * tries. No rule about sorts of characters: those make people write Passw0rd! (NIST SP 800-63B §3.1.1.2).
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { LadingError } from '../../errors.ts';
import { type Asker, FairQueue } from '../limits/fair-queue.ts';
import { LOOKED_AT, loadEstimator, type Strength, type StrengthTask } from './password-strength.ts';

/** In characters, not in bytes. */
export const PASSWORD_CHARACTERS = { least: 8, most: 128 } as const;
/** What eight random characters take, by the estimator. */
const MIN_GUESSES = 1e8;
/** Digits alone are dates and telephone numbers up to this length. */
const FEW_DIGITS = 12;
/** What dates and telephone numbers are written with. */
const BETWEEN_DIGITS = /[\s()+./-]/g;
/** No common password is longer, twice. */
const MAX_REPEATED = 64;
/** Characters that a password must have after runs of neighbours are counted as one. */
const MIN_UNRELATED = 5;
/** Each takes a tenth of a second at most, in the one thread. */
const TURNS = new FairQueue({ atOnce: 1, waiting: 64, waitingEach: 32 });
const IDLE_THREAD_MS = 60_000;

/** What is known of whoever chooses it, and so of nobody's use as a password. */
export interface Known {
  email: string;
  name?: string;
  surname?: string;
  /** What this server is called: the host of its address. */
  site?: string;
}

const PRODUCT = 'lading';
const ADVICE = 'Choose several unrelated words, or let a password manager make one.';

/**
 * Refuses what is too short, too long, common, personal or simple. The estimate is made in a thread of its own.
 * @throws LadingError `validation_failed` that says what is wrong and what to do; `overloaded`
 */
export async function checkPassword(password: string, known: Known, asker?: Asker): Promise<void> {
  refuseFor(formOf(password, known));
  for (const task of tasksOf(password, known)) {
    refuseFor(reasonOf(await TURNS.run(() => estimated(task), asker), password));
  }
}

/**
 * The same at once, in this thread, for what is read before the server starts: it takes half a second.
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

/** What is wrong with a password as it stands; null: the estimator is to say. */
function formOf(given: string, known: Known): string | null {
  const password = given.normalize('NFC');
  const { least, most } = PASSWORD_CHARACTERS;
  const { length } = [...password];
  if (length < least) return `The password is too short; it needs at least ${least} characters.`;
  if (length > most) return `The password is too long; it may have at most ${most} characters.`;
  if (/\p{Cc}/u.test(password) || /\p{Cs}/u.test(password)) return 'The password has characters that cannot be typed.';
  const lower = plainOf(password);
  if (isPersonal(lower, known)) {
    return `The password must not be made of your name, your e-mail address or the name of this server. ${ADVICE}`;
  }
  return isSimple(lower) ? `This password is easy to guess. ${ADVICE}` : null;
}

function reasonOf({ guesses, warning }: Strength, password: string): string | null {
  // Of what is longer than the estimator looks at, the rest counts too when it is no repetition.
  if (guesses >= MIN_GUESSES || (password.length > LOOKED_AT && !isSimple(plainOf(password.slice(LOOKED_AT)))))
    return null;
  return `This password is easy to guess. ${warning === null ? '' : `${warning} `}${ADVICE}`;
}

function plainOf(password: string): string {
  return password.normalize('NFKC').toLowerCase();
}

/** The password, and the same without what may stand between its letters (`p a s s w o r d`) and above them (`pásswörd`). */
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
    // It needs nothing of the environment, and that holds secrets.
    env: {},
    execArgv: [],
  });
  return (await thread.run(task)) as Strength;
}

/** Letters and digits alone. */
function squeezed(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/** `abab` is `ab`; what repeats nothing is itself. */
function unitOf(text: string): string {
  return (text.length <= MAX_REPEATED ? /^(.+?)\1+$/su.exec(text)?.[1] : undefined) ?? text;
}

/** Names and addresses as they may be written in a password, in small letters. */
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

/** True for what is hardly anything besides one's own words, also with digits and signs for letters. */
function isPersonal(lower: string, known: Known): boolean {
  const words = wordsOf(known).sort((a, b) => b.length - a.length);
  return [lower, lettersOf(lower, 'i'), lettersOf(lower, 'l')].some((written) => {
    const text = squeezed(written);
    const rest = words.reduce((left, word) => left.replaceAll(word, ''), text);
    return rest.length < MIN_UNRELATED && rest.length < text.length;
  });
}

/** What people write for letters; 1 and ! may stand for either of two. */
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

/** The same, the next in the alphabet, or beside it on the keyboard: 1111, abcd, 4321, qwerty. */
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
