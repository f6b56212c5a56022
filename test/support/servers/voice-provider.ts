/** A voice provider on loopback with the interface of Twilio. It checks the credentials and the message of each request. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { atEnd } from '../product/server.ts';

export const ACCOUNT = 'AC0123456789abcdef';
export const TOKEN = 'the-token-of-the-voice-account';

export interface PlacedCall {
  to: string;
  from: string;
  words: string;
  /** The digits of the spoken message. */
  code: string;
  callback: string | null;
}

export interface VoiceProvider {
  settings: Record<string, string>;
  placed: PlacedCall[];
  /** Sets the reply to all later requests. */
  answer(status: number): void;
  /** Reports the end of a call to the server, signed as Twilio does. */
  tell(url: string, signedUrl: string, fields: Record<string, string>, token?: string): Promise<Response>;
}

export async function startVoiceProvider(t: TestContext): Promise<VoiceProvider> {
  const placed: PlacedCall[] = [];
  let status = 201;
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const wanted = `Basic ${Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64')}`;
      const right =
        request.method === 'POST' &&
        request.url === `/2010-04-01/Accounts/${ACCOUNT}/Calls.json` &&
        request.headers.authorization === wanted;
      if (!right || status !== 201) {
        response.writeHead(right ? status : 401).end('{}');
        return;
      }
      const fields = new URLSearchParams(Buffer.concat(pieces).toString());
      const words = /^<\?xml[^>]*\?><Response><Say>([^<]*)<\/Say><\/Response>$/.exec(fields.get('Twiml') ?? '')?.[1];
      assert.ok(words !== undefined, 'what is to be said is TwiML');
      const [first = ''] = /(?:\d, ){5}\d/.exec(words) ?? [];
      placed.push({
        to: fields.get('To') ?? '',
        from: fields.get('From') ?? '',
        words: words.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
        code: first.replaceAll(', ', ''),
        callback: fields.get('StatusCallback'),
      });
      response.writeHead(201, { 'content-type': 'application/json' }).end('{"sid":"CA1","status":"queued"}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  atEnd(t, async () => {
    server.close();
    server.closeAllConnections();
  });
  return {
    settings: {
      LADING_VOICE: 'http',
      LADING_VOICE_URL: `http://127.0.0.1:${port}`,
      LADING_VOICE_ACCOUNT: ACCOUNT,
      LADING_VOICE_TOKEN: TOKEN,
      LADING_VOICE_FROM: '+14155550100',
    },
    placed,
    answer: (next) => {
      status = next;
    },
    tell: (url, signedUrl, fields, token = TOKEN) => {
      const text = Object.entries(fields)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flat()
        .join('');
      const signature = createHmac('sha1', token)
        .update(signedUrl + text)
        .digest('base64');
      return fetch(url, {
        method: 'POST',
        headers: { 'x-twilio-signature': signature },
        body: new URLSearchParams(fields),
      });
    },
  };
}
