/** What downloads send as Content-Type. Server only. */
import mime from 'mime-types';
import { LadingError } from '../errors.ts';

const UNKNOWN = 'application/octet-stream';

/** Longest media type that a client may give, in characters. */
const MAX_CHARACTERS = 255;

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[ !#-[\\]-~]|\\\\[ -~])*"';
/**
 * RFC 9110 §8.3.1 without empty parameters and tabs. Every repetition starts at a `;` that nothing else can match, so the time is
 * linear in the length.
 */
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?: *; *${TOKEN}=(?:${TOKEN}|${QUOTED}))*$`);

/** The media type by the name's extension, `application/octet-stream` when there is none or it is not known. */
export function contentTypeFor(name: string): string {
  const segment = name.slice(name.lastIndexOf('/') + 1);
  const dot = segment.lastIndexOf('.');
  // `.html` is a hidden file without an extension, `html` is no extension either.
  if (dot <= 0) return UNKNOWN;
  return mime.lookup(segment.slice(dot)) || UNKNOWN;
}

/**
 * Returns the media type that a client gave, without surrounding space. Throws `invalid_request` for what is no media type, longer
 * than 255 characters, or has characters that must not reach a header.
 */
export function checkContentType(value: string): string {
  const type = value.trim();
  if (value.length > MAX_CHARACTERS || /\p{Control}/u.test(value) || !MEDIA_TYPE.test(type)) {
    throw new LadingError(
      'invalid_request',
      `content_type is no media type. Send something like application/pdf, at most ${MAX_CHARACTERS} characters.`,
    );
  }
  return type;
}
