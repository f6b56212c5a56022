/** Names of delivered files. They contain text from clients, so anything with a special meaning to the receiver is replaced. */
import * as path from 'node:path';

/** Maximum length of a file name on common file systems, in bytes. */
const MAX_BYTES = 255;
/** Maximum number of candidates for the name of one file. */
const MAX_NAMES = 10_000;

export const DEFAULT_PATTERN = '{date}_{time}_{client_id}_{name}';
const PLACEHOLDER = /\{(date|time|client_id|name|id)\}/g;

/** The values of the placeholders. */
export interface NamedFile {
  completedAt: number;
  clientId: string;
  name: string;
  id: string;
}

/** True for a valid pattern: it has only known placeholders, among them `{name}` or `{id}` to distinguish files. */
export function isPattern(pattern: string): boolean {
  const rest = pattern.replaceAll(PLACEHOLDER, '');
  return !/[{}/\\\p{Cc}]/u.test(rest) && /\{(name|id)\}/.test(pattern);
}

/** Fills in a pattern. The time is the UTC time at which the file became complete, so every attempt gives the same name. */
export function remoteName(pattern: string, { completedAt, clientId, name, id }: NamedFile): string {
  const [date = '', time = ''] = new Date(completedAt).toISOString().split('T');
  const values: Record<string, string> = {
    date: date.replaceAll('-', ''),
    time: time.slice(0, 8).replaceAll(':', ''),
    client_id: clientId,
    name,
    id,
  };
  const filled = pattern.replaceAll(PLACEHOLDER, (_, placeholder: string) => values[placeholder] ?? '');
  return truncated(sanitized(filled));
}

/** Candidates for a name: `a.wav`, `a_2.wav`, `a_3.wav`, …; none exceeds the maximum length. */
export function* namesFor(name: string): Generator<string> {
  yield name;
  const extension = extensionOf(name);
  const stem = name.slice(0, name.length - extension.length);
  for (let count = 2; count <= MAX_NAMES; count += 1) yield withSuffix(stem, `_${count}${extension}`);
}

/** The name with the id of the file inserted before the extension, which makes it unique. */
export function withId(name: string, id: string): string {
  const extension = extensionOf(name);
  return withSuffix(name.slice(0, name.length - extension.length), `_${id}${extension}`);
}

/** Replaces path separators, control characters (which end FTP commands), and prefixes of options and hidden files. */
function sanitized(name: string): string {
  return name.replaceAll(/[/\\\p{Cc}]/gu, '_').replace(/^[-.~ ]+/, (found) => '_'.repeat(found.length));
}

function truncated(name: string): string {
  if (Buffer.byteLength(name) <= MAX_BYTES) return name;
  const extension = extensionOf(name);
  return withSuffix(name.slice(0, name.length - extension.length), extension);
}

function extensionOf(name: string): string {
  const extension = path.extname(name);
  return Buffer.byteLength(extension) <= 32 ? extension : '';
}

/** Appends a suffix to a stem, which is truncated if the name would be too long. */
function withSuffix(stem: string, suffix: string): string {
  let kept = stem;
  while (Buffer.byteLength(kept) + Buffer.byteLength(suffix) > MAX_BYTES) kept = [...kept].slice(0, -1).join('');
  return kept + suffix;
}
