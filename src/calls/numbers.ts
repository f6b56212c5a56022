/** Telephone numbers in E.164, validated against the national numbering plans. */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { LadingError } from '../errors.ts';

/**
 * Normalises a number to `+14155550123`. Spaces, brackets and hyphens are allowed; the country code is required.
 * @throws LadingError `invalid_request`
 */
export function phoneOf(text: string): string {
  const number = text.length <= 64 && text.trim().startsWith('+') ? parsePhoneNumberFromString(text) : undefined;
  if (!number?.isValid()) {
    throw new LadingError(
      'invalid_request',
      'Write the telephone number with its country code, for example +14155550123.',
    );
  }
  return number.number;
}
