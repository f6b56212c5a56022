/** File names (PROTOCOL.md §2). A name is a label among its owner's files, never a path on disk. */
import { LadingError } from '../errors.ts';

/** Longest name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 1024;

const encoder = new TextEncoder();

/** Returns a valid name unchanged. Throws `invalid_name` with the rule that an invalid one breaks. */
export function checkName(name: string): string {
  const broken = brokenRule(name);
  if (broken !== null) throw new LadingError('invalid_name', `${broken} Choose another file name.`);
  return name;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes a name. Throws `invalid_name` unless it is UTF-8: a replacement character would turn two different names into one. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new LadingError('invalid_name', 'The file name is not valid UTF-8.');
  }
}

/** Returns the longest prefix of whole characters that has at most `mostBytes` bytes of UTF-8. */
export function cutText(text: string, mostBytes: number): string {
  let bytes = 0;
  let kept = '';
  for (const character of text) {
    bytes += encoder.encode(character).length;
    if (bytes > mostBytes) break;
    kept += character;
  }
  return kept;
}

function brokenRule(name: string): string | null {
  if (name === '') return 'The file name is empty.';
  // UTF-8 never has fewer bytes than UTF-16 has units, so a huge name is refused before it is encoded.
  if (name.length > MAX_NAME_BYTES || encoder.encode(name).length > MAX_NAME_BYTES) {
    return `The file name is longer than ${MAX_NAME_BYTES} bytes of UTF-8.`;
  }
  if (/\p{Surrogate}/u.test(name)) return 'The file name is not valid Unicode.';
  if (/\p{Control}/u.test(name)) return 'The file name has a control character.';
  if (name.startsWith('/')) return 'The file name starts with "/".';
  for (const segment of name.split('/')) {
    if (segment === '') return 'The file name has an empty segment ("//" or a "/" at its end).';
    if (segment === '.' || segment === '..') return 'The file name has a "." or ".." segment.';
  }
  return null;
}
