/** Content-Disposition of downloads and uploads: RFC 6266, with RFC 8187 for names that are not ASCII. Server only. */
import { decodeExtended, encodeExtended, parse } from 'content-disposition';
import { LadingError } from '../../errors.ts';
import { decodeName } from '../names.ts';

/** Characters that change the reading direction: `invoice<RLO>fdp.exe` would be shown as `invoiceexe.pdf`. */
const BIDI_CONTROLS = /\p{Bidi_Control}/gu;
const CONTROLS = /[\p{Control}\u2028\u2029]/gu;

/** Longest fallback, in bytes. Most file systems allow 255, and clients append a suffix if the name is already in use. */
const MAX_FALLBACK = 200;
/** Longest extension, in characters. No program is associated with a longer one. */
const MAX_EXTENSION = 20;

/**
 * Returns `attachment; filename="ASCII fallback"; filename*=UTF-8''exact name` for the last segment of a file's name. `filename` is
 * first, because old clients use the first parameter. `filename*` is omitted if `filename` is exact (RFC 6266, appendix D).
 */
export function contentDisposition(name: string): string {
  const shown = displayName(name);
  const fallback = asciiOf(shown);
  const quoted = fallback.replace(/["\\]/g, '\\$&');
  const exact = fallback === shown ? '' : `; filename*=${encodeExtended(shown)}`;
  return `attachment; filename="${quoted}"${exact}`;
}

/** Returns the last segment of a name, without characters that could affect the receiver's file system or screen. */
function displayName(name: string): string {
  // Windows separates directories with a backslash.
  const segment = name.split(/[/\\]/).findLast((part) => part !== '') ?? '';
  const clean = segment
    .replace(CONTROLS, '')
    .replace(BIDI_CONTROLS, '')
    .replace(/\p{Surrogate}/gu, '\ufffd');
  return /^\.{0,2}$/.test(clean) ? 'download' : clean;
}

/**
 * Replaces each run of characters other than printable ASCII with one `_`, and each `%` before two hex digits, because some clients
 * would decode it. Cuts a name that is too long for file systems before its extension.
 */
function asciiOf(shown: string): string {
  const name = shown.replace(/[^ -~]+/g, '_').replace(/%(?=[0-9a-f]{2})/gi, '_');
  if (name.length <= MAX_FALLBACK) return name;
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 && name.length - dot <= MAX_EXTENSION ? name.slice(dot) : '';
  return `${name.slice(0, MAX_FALLBACK - extension.length)}${extension}`;
}

/**
 * Returns the field name in the `Content-Disposition` of a form part, and whether the part is a file. Returns null if the disposition is
 * not `form-data` or has no name.
 * @param field one character for each byte, as HTTP parsers return it
 */
export function formFieldOf(field: string): { name: string; isFile: boolean } | null {
  const { type, parameters } = parse(withLiteralBackslashes(field), { extended: false });
  const { name, filename, 'filename*': extended } = parameters;
  if (type !== 'form-data' || name === undefined) return null;
  return {
    name: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytesOf(name)),
    isFile: filename !== undefined || extended !== undefined,
  };
}

/**
 * Returns the file name in a `Content-Disposition`, without directories: `filename*` if present, otherwise `filename` as UTF-8.
 * @param field one character for each byte, as HTTP parsers return it
 * @returns null if the name is missing or empty
 * @throws LadingError `invalid_name` unless the name is UTF-8
 */
export function fileNameOf(field: string): string | null {
  const { filename, 'filename*': extended } = parse(withLiteralBackslashes(field), { extended: false }).parameters;
  const name = nameOfExtended(extended) ?? (filename === undefined ? '' : decodeName(bytesOf(filename)));
  return name.split(/[/\\]/).at(-1) || null;
}

/** Returns undefined for an unknown character set. Then `filename` applies (RFC 6266 §4.3). */
function nameOfExtended(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const name = decodeExtended(value);
  if (name === undefined && /^utf-?8'/i.test(value))
    throw new LadingError('invalid_name', 'The file name in filename* is not percent-encoded UTF-8.');
  return name;
}

/** Returns the bytes of a parameter. HTTP parsers return one character per byte; text with other characters is already decoded. */
function bytesOf(text: string): Uint8Array {
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  return units.every((unit) => unit <= 0xff) ? Uint8Array.from(units) : new TextEncoder().encode(text);
}

/** Windows clients send `C:\dir\x` unescaped, so a backslash counts as an escape only before a quote or a backslash. */
function withLiteralBackslashes(field: string): string {
  return field.replace(/\\([\s\S])/g, (pair, next: string) => (next === '"' || next === '\\' ? pair : `\\\\${next}`));
}
