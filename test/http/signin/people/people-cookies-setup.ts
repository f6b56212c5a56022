/** Helpers of the tests of cookies. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';

export const OPEN = { LADING_REGISTRATION: 'open' };

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  cookies: string[];
  body: string;
}

/** A request with a chosen Host and scheme. */
export function send(origin: string, path: string, headers: Record<string, string>, body?: unknown): Promise<Answer> {
  return new Promise((done, fail) => {
    const request = origin.startsWith('https:') ? httpsRequest : httpRequest;
    const options = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
    const sent = request(`${origin}${path}`, { ...options, rejectUnauthorized: false }, (reply) => {
      const pieces: Buffer[] = [];
      reply.on('data', (piece: Buffer) => pieces.push(piece));
      reply.on('end', () => {
        const { statusCode: status = 0, headers: fields } = reply;
        const text = Buffer.concat(pieces).toString();
        done({ status, headers: fields, cookies: fields['set-cookie'] ?? [], body: text });
      });
    });
    sent.on('error', fail);
    sent.end(JSON.stringify(body ?? {}));
  });
}
