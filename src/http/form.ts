/** Forms of `application/x-www-form-urlencoded`, with the rules of RFC 6749 §3.1: no parameter twice, an empty one counts as absent. */
import { LadingError } from '../errors.ts';

/** @throws LadingError `invalid_request` */
export function parseForm(body: string | Buffer): Record<string, string> {
  const form: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new URLSearchParams(body.toString())) {
    if (name in form)
      throw new LadingError('invalid_request', `The parameter ${JSON.stringify(name.slice(0, 40))} is there twice.`);
    if (value !== '') form[name] = value;
  }
  // RFC 6749 §4.3.2 demands it of clients; the older devices leave it out.
  if ((form.grant_type ?? 'password') !== 'password') {
    throw new LadingError('invalid_request', 'The grant_type must be password.');
  }
  return form;
}
