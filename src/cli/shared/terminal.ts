/**
 * Untrusted text on a terminal. Names, reasons and addresses come from servers, people and file systems. A terminal obeys control
 * characters, and bidirectional controls can disguise a name.
 */

/** Control characters, Unicode line ends, invisible characters and bidirectional controls. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Joiners, which words and emoji need. They are harmless. */
const JOINERS = new Set(['\u200c', '\u200d']);

/** Escapes unsafe characters: `\x1b`, `\n`, `\u202e`. The result is one line. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => (JOINERS.has(character) ? character : escaped(character)));
}

/** Like `printable`, but keeps line breaks. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** Serializes JSON and escapes unsafe characters, so that it is also harmless on a terminal. */
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
