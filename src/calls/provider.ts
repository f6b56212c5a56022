/** Calls through a voice provider that has the interface of Twilio: POST /2010-04-01/Accounts/{account}/Calls.json. */
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
  /** Where the provider tells how calls end; null when the server does not know its own address. */
  callback: string | null;
}

/** @param agent makes the connections, and is closed with the voice */
export function providerVoice({ url, account, token, from, callback }: ProviderSettings, agent: Agent): Voice {
  const to = new URL(`/2010-04-01/Accounts/${encodeURIComponent(account)}/Calls.json`, url);
  const authorization = `Basic ${Buffer.from(`${account}:${token}`).toString('base64')}`;
  return {
    async speak(call, signal) {
      // The words go along; a document that the provider fetches from here would be one more place that shows the code.
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
      // It may repeat what it was sent.
      await body.dump({ limit: 64 * 1024 }).catch(() => {});
      if (statusCode < 200 || statusCode > 299) throw new Error(`the voice provider said ${statusCode}`);
    },
    close: () => agent.destroy(),
  };
}

function twiml(words: string): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<?xml version="1.0" encoding="UTF-8"?><Response><Say>${escaped}</Say></Response>`;
}

/** `X-Twilio-Signature`: HMAC-SHA1 by the token over the URL and, in the order of their names, the fields with their values. */
export function providerSignature(token: string, url: string, fields: Readonly<Record<string, string>>): string {
  const text = Object.keys(fields)
    .sort()
    .reduce((sum, name) => `${sum}${name}${fields[name]}`, url);
  return createHmac('sha1', token).update(text, 'utf8').digest('base64');
}

export function isSignedByProvider(
  token: string,
  url: string,
  fields: Readonly<Record<string, string>>,
  signature: string,
): boolean {
  const right = Buffer.from(providerSignature(token, url, fields));
  const given = Buffer.from(signature);
  return given.length === right.length && timingSafeEqual(given, right);
}
