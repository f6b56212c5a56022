/** Names of delivered files: made of what clients said, so nothing in them may mean anything to the other side. */
import * as path from 'node:path';

/** Most bytes of a name on the file systems that FTP servers stand on. */
const MOST_BYTES = 255;

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

/** No folders, no control characters (which end commands of FTP), nothing that begins like an option or a hidden file. */
function harmless(name: string): string {
  return name.replaceAll(/[/\\\p{Cc}]/gu, '_').replace(/^[-.~ ]+/, (found) => '_'.repeat(found.length));
}

function shortened(name: string): string {
  if (Buffer.byteLength(name) <= MOST_BYTES) return name;
  const extension = path.extname(name);
  const end = Buffer.byteLength(extension) <= 32 ? extension : '';
  let stem = name.slice(0, name.length - end.length);
  while (Buffer.byteLength(stem) + Buffer.byteLength(end) > MOST_BYTES) stem = [...stem].slice(0, -1).join('');
  return stem + end;
}
