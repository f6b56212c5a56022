/** Names of delivered files: made of what clients said, so nothing in them may mean anything to the other side. */
import * as path from 'node:path';

/** Most bytes of a name on the file systems that FTP servers stand on. */
const MAX_BYTES = 255;
/** Names tried for a file whose own is taken. */
const MAX_NAMES = 10_000;

export const DEFAULT_PATTERN = '{date}_{time}_{client_id}_{name}';
const WORD = /\{(date|time|client_id|name|id)\}/g;

export interface Named {
  completedAt: number;
  clientId: string;
  name: string;
  id: string;
}

/** True when every brace of a pattern belongs to a word that is known, and two files cannot get one name by mistake of it alone. */
export function isPattern(pattern: string): boolean {
  const rest = pattern.replaceAll(WORD, '');
  return !/[{}/\\\p{Cc}]/u.test(rest) && /\{(name|id)\}/.test(pattern);
}

/** `YYYYMMDD_HHMMSS_<client_id>_<name>` by default, in UTC of when the file became complete: each try makes the same name. */
export function remoteName(pattern: string, { completedAt, clientId, name, id }: Named): string {
  const [date = '', time = ''] = new Date(completedAt).toISOString().split('T');
  const words: Record<string, string> = {
    date: date.replaceAll('-', ''),
    time: time.slice(0, 8).replaceAll(':', ''),
    client_id: clientId,
    name,
    id,
  };
  const whole = pattern.replaceAll(WORD, (_, word: string) => words[word] ?? '');
  return shortened(harmless(whole));
}

/** The name, and those to be used where it is taken: `a.wav`, `a_2.wav`, `a_3.wav`, …, none longer than a name may be. */
export function* namesFor(name: string): Generator<string> {
  yield name;
  const extension = extensionOf(name);
  const stem = name.slice(0, name.length - extension.length);
  for (let count = 2; count <= MAX_NAMES; count += 1) yield fitting(stem, `_${count}${extension}`);
}

/** The name with the id of its file in it: one that no other file has. */
export function withId(name: string, id: string): string {
  const extension = extensionOf(name);
  return fitting(name.slice(0, name.length - extension.length), `_${id}${extension}`);
}

/** No folders, no control characters (which end commands of FTP), nothing that begins like an option or a hidden file. */
function harmless(name: string): string {
  return name.replaceAll(/[/\\\p{Cc}]/gu, '_').replace(/^[-.~ ]+/, (found) => '_'.repeat(found.length));
}

function shortened(name: string): string {
  if (Buffer.byteLength(name) <= MAX_BYTES) return name;
  const extension = extensionOf(name);
  return fitting(name.slice(0, name.length - extension.length), extension);
}

function extensionOf(name: string): string {
  const extension = path.extname(name);
  return Buffer.byteLength(extension) <= 32 ? extension : '';
}

/** As much of the stem as fits in front of the end. */
function fitting(stem: string, end: string): string {
  let kept = stem;
  while (Buffer.byteLength(kept) + Buffer.byteLength(end) > MAX_BYTES) kept = [...kept].slice(0, -1).join('');
  return kept + end;
}
