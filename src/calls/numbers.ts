/** Telephone numbers in E.164, checked against the numbering plans of the world. */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { LadingError } from '../errors.ts';

/**
 * `+14155550123`, however it was written (spaces, brackets, hyphens). The country code is part of it.
 * @throws LadingError `invalid_request`
 */
export function phoneOf(text: string): string {
  const number = text.length <= 64 && text.trim().startsWith('+') ? parsePhoneNumberFromString(text) : undefined;
  if (!number?.isValid()) {
    throw new LadingError('invalid_request', 'A telephone number is written with its country code, as +14155550123.');
  }
  return number.number;
}
