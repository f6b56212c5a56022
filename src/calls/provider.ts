/** Calls through a voice provider with the API of Twilio: POST /2010-04-01/Accounts/{account}/Calls.json. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Agent, request } from 'undici';
import { type Voice, wordsOf } from './voice.ts';

const PATIENCE_MS = 15_000;

export interface ProviderSettings {
  url: string;
  account: string;
  token: string;
  /** Number or id that calls come from. */
  from: string;
  /** URL to which the provider reports how calls end; null when the server does not know its public address. */
  callback: string | null;
}

/** @param agent opens the connections; `close` destroys it */
export function providerVoice({ url, account, token, from, callback }: ProviderSettings, agent: Agent): Voice {
  const to = new URL(`/2010-04-01/Accounts/${encodeURIComponent(account)}/Calls.json`, url);
  const authorization = `Basic ${Buffer.from(`${account}:${token}`).toString('base64')}`;
  return {
    async speak(call, signal) {
      // The text is part of the request. A document that the provider fetches would expose the code in one more place.
      const fields = new URLSearchParams({ To: call.to, From: from, Twiml: twiml(wordsOf(call)) });
      if (callback !== null) fields.set('StatusCallback', `${callback}/${call.id}`);
      const { statusCode, body } = await request(to, {
        method: 'POST',
        dispatcher: agent,
        headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
        body: fields.toString(),
        headersTimeout: PATIENCE_MS,
        bodyTimeout: PATIENCE_MS,
        signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
      });
      // The body may repeat the request, which contains the code.
      await body.dump({ limit: 64 * 1024 }).catch(() => {});
      if (statusCode < 200 || statusCode > 299) throw new Error(`the voice provider answered ${statusCode}`);
    },
    close: () => agent.destroy(),
  };
}

function twiml(words: string): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<?xml version="1.0" encoding="UTF-8"?><Response><Say>${escaped}</Say></Response>`;
}

/** `X-Twilio-Signature`: HMAC-SHA1 with the token as key, over the URL and the fields with their values, sorted by name. */
export function providerSignature(token: string, url: string, fields: Readonly<Record<string, string>>): string {
  const text = Object.keys(fields)
    .sort()
    .reduce((sum, name) => `${sum}${name}${fields[name]}`, url);
  return createHmac('sha1', token).update(text, 'utf8').digest('base64');
}

/** True when the provider signed these fields. Compares in constant time. */
export function isSignedByProvider(
  token: string,
  url: string,
  fields: Readonly<Record<string, string>>,
  signature: string,
): boolean {
  const expected = Buffer.from(providerSignature(token, url, fields));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
