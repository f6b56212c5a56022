/**
 * Which passwords a person may choose: long enough, and nothing that a guesser tries among the first millions. No rule about sorts of
 * characters: those make people write Passw0rd! (NIST SP 800-63B §3.1.1.2).
 */
import { LadingError } from '../errors.ts';
import { COMMON_PASSWORDS } from './common-passwords.ts';

/** In characters, not in bytes. */
export const PASSWORD_CHARACTERS = { least: 8, most: 128 } as const;
/** Digits alone are dates and telephone numbers up to this length. */
const FEW_DIGITS = 12;
/** Digits and signs behind a word that are looked at one by one. */
const MOST_BEHIND = 12;
/** No common password is longer, twice. */
const MOST_REPEATED = 64;
/** Characters that a password must have after runs of neighbours are counted as one. */
const LEAST_UNRELATED = 5;

/** What is known of whoever chooses it, and so of nobody's use as a password. */
export interface Known {
  email: string;
  name?: string;
  surname?: string;
}

const ADVICE = 'Choose one of several words that belong to no saying, or let a password manager make one.';

/**
 * Refuses what is too short, too long, common, personal or simple.
 * @throws LadingError `validation_failed` that says what is wrong and what to do
 */
export function checkPassword(password: string, known: Known): void {
  const wrong = reasonAgainst(password.normalize('NFC'), known);
  if (wrong !== null) throw new LadingError('validation_failed', wrong);
}

function reasonAgainst(password: string, known: Known): string | null {
  const { least, most } = PASSWORD_CHARACTERS;
  const { length } = [...password];
  if (length < least) return `The password is too short; it needs at least ${least} characters.`;
  if (length > most) return `The password is too long; it may have at most ${most} characters.`;
  if (/\p{Cc}/u.test(password) || /\p{Cs}/u.test(password)) return 'The password has characters that cannot be typed.';
  const lower = password.normalize('NFKC').toLowerCase();
  const variants = variantsOf(lower);
  if (variants.some((variant) => COMMON_PASSWORDS.has(variant))) {
    return `This password, or one that is nearly the same, is among the first that are tried. ${ADVICE}`;
  }
  if (isPersonal(lower, variants, known)) {
    return `The password must not be made of your name or e-mail address. ${ADVICE}`;
  }
  return isSimple(lower) ? `This password is easy to guess. ${ADVICE}` : null;
}

/** What people write for letters; 1 and ! may stand for either of two. */
const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '+': 't',
  '€': 'e',
};

/** The words that may be meant by a password: without what was put before and behind, with letters for digits and signs. */
function variantsOf(lower: string): string[] {
  const cores = new Set([lower, lower.replace(/^[^\p{L}]+/u, '')]);
  for (const core of [...cores]) {
    let cut = core;
    for (let i = 0; i < MOST_BEHIND && /[^\p{L}]$/u.test(cut); i += 1) {
      cut = cut.slice(0, -1);
      cores.add(cut);
    }
  }
  const variants = new Set<string>();
  for (const core of cores) {
    for (const one of ['i', 'l']) {
      const read = [...core].map((char) => (char === '1' || char === '!' ? one : (LEET[char] ?? char))).join('');
      for (const word of [core, read]) variants.add(word).add(squeezed(word));
    }
  }
  for (const word of [...variants]) variants.add(unitOf(word));
  return [...variants];
}

/** Letters and digits alone. */
function squeezed(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/** `abab` is `ab`; what repeats nothing is itself. */
function unitOf(text: string): string {
  return (text.length <= MOST_REPEATED ? /^(.+?)\1+$/su.exec(text)?.[1] : undefined) ?? text;
}

function isPersonal(lower: string, variants: readonly string[], { email, name = '', surname = '' }: Known): boolean {
  const [local = '', domain = ''] = email.split('@');
  const [label = ''] = domain.split('.');
  const words = [
    email,
    local,
    domain,
    label,
    `${local}${label}`,
    name,
    surname,
    `${name}${surname}`,
    `${surname}${name}`,
  ]
    .map((word) => squeezed(word.normalize('NFKC').toLowerCase()))
    .filter((word) => word.length >= 3);
  if (variants.some((variant) => words.includes(squeezed(variant)))) return true;
  // Or hardly anything besides.
  const rest = words
    .sort((a, b) => b.length - a.length)
    .reduce((text, word) => text.replaceAll(word, ''), squeezed(lower));
  return rest.length < LEAST_UNRELATED && rest.length < squeezed(lower).length;
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
  if (/^\p{N}+$/u.test(lower) && characters.length < FEW_DIGITS) return true;
  if (new Set(characters).size < LEAST_UNRELATED) return true;
  const unrelated = characters.filter((char, i) => i === 0 || !follows(characters[i - 1] ?? '', char));
  return unrelated.length < LEAST_UNRELATED;
}
