/** Content-Disposition, of downloads and of what is uploaded: RFC 6266, with RFC 8187 for what ASCII cannot say. Server only. */
import { decodeExtended, encodeExtended, parse } from 'content-disposition';
import { LadingError } from '../../errors.ts';
import { decodeName } from '../names.ts';

/** Marks that turn the reading direction: `invoice<RLO>fdp.exe` would be shown as `invoiceexe.pdf`. */
const BIDI_CONTROLS = /\p{Bidi_Control}/gu;
const CONTROLS = /[\p{Control}\u2028\u2029]/gu;

/** Longest fallback, in bytes: file systems take 255, some less, and clients add something to a name that is taken. */
const MAX_FALLBACK = 200;
/** Longer is no extension that a program is chosen by. */
const MAX_EXTENSION = 20;

/**
 * `attachment; filename="ASCII fallback"; filename*=UTF-8''exact name` for the last segment of a file's name. `filename` comes first,
 * as old clients take the first they see; `filename*` is left out when `filename` says it all (RFC 6266, appendix D).
 */
export function contentDisposition(name: string): string {
  const shown = presentable(name);
  const fallback = asciiOf(shown);
  const quoted = fallback.replace(/["\\]/g, '\\$&');
  const exact = fallback === shown ? '' : `; filename*=${encodeExtended(shown)}`;
  return `attachment; filename="${quoted}"${exact}`;
}

/** The last segment without anything that could act on the receiver's file system or screen. */
function presentable(name: string): string {
  // Whoever sent it from Windows has a backslash between folders.
  const segment = name.split(/[/\\]/).findLast((part) => part !== '') ?? '';
  const clean = segment
    .replace(CONTROLS, '')
    .replace(BIDI_CONTROLS, '')
    .replace(/\p{Surrogate}/gu, '\ufffd');
  return /^\.{0,2}$/.test(clean) ? 'download' : clean;
}

/**
 * Each run of other characters becomes one `_`; so does a `%` before two hex digits, which some clients would decode. A name that is longer
 * than file systems take is cut before its extension.
 */
function asciiOf(shown: string): string {
  const name = shown.replace(/[^ -~]+/g, '_').replace(/%(?=[0-9a-f]{2})/gi, '_');
  if (name.length <= MAX_FALLBACK) return name;
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 && name.length - dot <= MAX_EXTENSION ? name.slice(dot) : '';
  return `${name.slice(0, MAX_FALLBACK - extension.length)}${extension}`;
}

/**
 * The field and whether it is a file, by the `Content-Disposition` of a part of a form; null for another disposition or without a name.
 * @param field each character a byte, as HTTP parsers give it
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
 * The name that a `Content-Disposition` gives a file, without folders: the exact one of `filename*` if it is there, else `filename` as UTF-8.
 * @param field each character a byte, as HTTP parsers give it
 * @returns null when it has no name, or an empty one
 * @throws LadingError `invalid_name` for what is no UTF-8
 */
export function fileNameOf(field: string): string | null {
  const { filename, 'filename*': extended } = parse(withLiteralBackslashes(field), { extended: false }).parameters;
  const name = nameOfExtended(extended) ?? (filename === undefined ? '' : decodeName(bytesOf(filename)));
  return name.split(/[/\\]/).at(-1) || null;
}

/** Undefined for a character set that is not known; then `filename` counts (RFC 6266 §4.3). */
function nameOfExtended(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const name = decodeExtended(value);
  if (name === undefined && /^utf-?8'/i.test(value))
    throw new LadingError('invalid_name', 'The file name in filename* is not percent-encoded UTF-8.');
  return name;
}

/** HTTP parsers give a character for a byte; what has others was decoded before. */
function bytesOf(text: string): Uint8Array {
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  return units.every((unit) => unit <= 0xff) ? Uint8Array.from(units) : new TextEncoder().encode(text);
}

/** Clients on Windows write `C:\dir\x` as it is, so a backslash quotes nothing but a quote or another backslash. */
function withLiteralBackslashes(field: string): string {
  return field.replace(/\\([\s\S])/g, (pair, next: string) => (next === '"' || next === '\\' ? pair : `\\\\${next}`));
}
