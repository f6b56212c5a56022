/**
 * Text of others on a terminal. Names, reasons and addresses come from servers, people and file systems; a terminal obeys the control
 * characters in them, and bidirectional controls have a name read as another one.
 */

/** Controls of the terminal, line ends of Unicode, and what is invisible or turns the direction of writing. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Joiners that words and emoji are written with: they move nothing. */
const JOINERS = new Set(['\u200c', '\u200d']);

/** One line that shows what a text holds: `\x1b`, `\n`, `\u202e` for what a terminal would obey. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => (JOINERS.has(character) ? character : escaped(character)));
}

/** As `shown`, for texts of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** JSON that is the same for programs and harmless on a terminal: what JSON may write as it is, but a terminal obeys, is escaped too. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, (character) =>
    [...Array(character.length).keys()].map((at) => unit(character.charCodeAt(at))).join(''),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : unit(code);
}

function unit(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}
