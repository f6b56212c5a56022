/** Media types: the Content-Type of downloads. Server only. */
import mime from 'mime-types';
import { LadingError } from '../../errors.ts';

const UNKNOWN = 'application/octet-stream';

/** Longest media type that a client may send, in characters. */
const MAX_CHARACTERS = 255;

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[\\t !#-[\\]-~]|\\\\[\\t -~])*"';
const PARAMETER = `${TOKEN}=(?:${TOKEN}|${QUOTED})`;
/**
 * RFC 9110 §8.3.1, with white space around the semicolons and empty parameters (§5.6.6). Every repetition starts at a `;` that nothing
 * else can match, and the text after it decides which alternative it is. So the time is linear in the length.
 */
const MEDIA_TYPE = new RegExp(`^(${TOKEN}/${TOKEN})((?:[ \\t]*;[ \\t]*${PARAMETER}|[ \\t]*;)*)[ \\t]*$`);
const EACH_PARAMETER = new RegExp(`;[ \\t]*(${PARAMETER})`, 'g');

/** Returns the media type of a file by its extension; `application/octet-stream` if that is missing or unknown. */
export function contentTypeFor(name: string): string {
  const segment = name.slice(name.lastIndexOf('/') + 1);
  const dot = segment.lastIndexOf('.');
  // `.html` is a hidden file without an extension, `html` has no extension either.
  if (dot <= 0) return UNKNOWN;
  return mime.lookup(segment.slice(dot)) || UNKNOWN;
}

/**
 * Returns a media type in canonical form: without surrounding white space and empty parameters, and with the type in lower case.
 *
 *     Text/Plain;\tcharset=utf-8;   →   text/plain; charset=utf-8
 *
 * @returns null if it is not a media type
 */
export function canonicalMediaType(value: string): string | null {
  const [, essence, parameters = ''] = MEDIA_TYPE.exec(value.replace(/^[ \t]+/, '')) ?? [];
  if (essence === undefined) return null;
  const each = [...parameters.matchAll(EACH_PARAMETER)].map(([, parameter = '']) => parameter);
  return [essence.toLowerCase(), ...each].join('; ');
}

/** True if a canonical media type equals `essence`, ignoring its parameters. */
export function isMediaType(canonical: string | undefined, essence: string): boolean {
  return canonical === essence || canonical?.startsWith(`${essence};`) === true;
}

/**
 * Checks a media type from a client and removes surrounding spaces, tabs and empty parameters. Throws `invalid_request` if it is not a
 * media type, is longer than 255 characters, or has characters that a header must not contain.
 */
export function checkContentType(value: string): string {
  const type = value.trim();
  const canonical = value.length > MAX_CHARACTERS || /[^\t -~]/.test(value) ? null : canonicalMediaType(type);
  if (canonical === null) {
    throw new LadingError(
      'invalid_request',
      `content_type is not a media type. Send one like application/pdf, with at most ${MAX_CHARACTERS} characters.`,
    );
  }
  // A tab inside quotes becomes a space (RFC 9110 §5.6.4 allows both).
  return type.includes('\t') || /;[ ]*(?:;|$)/.test(type) ? canonical.replaceAll('\t', ' ') : type;
}

/** Like `checkContentType`, but returns `fallback` for an invalid type. */
export function mediaTypeOr(value: string, fallback: string): string {
  try {
    return checkContentType(value);
  } catch {
    return fallback;
  }
}
