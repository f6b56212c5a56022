/** A webhook receiver that verifies every signature independently, and can be set to fail. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { LadingEvent } from '../../../src/protocol/schemas/event.ts';
import { atEnd } from '../product/server.ts';

export interface Received {
  path: string;
  id: string;
  /** Whether the signature matches `secret`. */
  signed: boolean;
  event: LadingEvent;
  headers: IncomingHttpHeaders;
}

export interface Receiver {
  url: string;
  port: number;
  received: Received[];
  /** Sets the reply to all later requests. */
  answer(status: number, headers?: Record<string, string>): void;
  /** The secret of the target: `whsec_…` or plain text. */
  secret: string;
}

export async function startReceiver(t: TestContext): Promise<Receiver> {
  let reply: { status: number; headers: Record<string, string> } = { status: 204, headers: {} };
  const receiver: Receiver = {
    url: '',
    port: 0,
    received: [],
    secret: '',
    answer: (status, headers = {}) => {
      reply = { status, headers };
    },
  };
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = Buffer.concat(pieces).toString();
      const id = String(request.headers['webhook-id']);
      const key = receiver.secret.startsWith('whsec_')
        ? Buffer.from(receiver.secret.slice(6), 'base64')
        : receiver.secret;
      const wanted = createHmac('sha256', key).update(`${id}.${request.headers['webhook-timestamp']}.${body}`).digest();
      const given = Buffer.from(String(request.headers['webhook-signature']).replace(/^v1,/, ''), 'base64');
      const age = Math.abs(Date.now() / 1000 - Number(request.headers['webhook-timestamp']));
      const signed = given.length === wanted.length && timingSafeEqual(given, wanted) && age < 300;
      const event = JSON.parse(body) as LadingEvent;
      receiver.received.push({ path: request.url ?? '', id, signed, event, headers: request.headers });
      response.writeHead(reply.status, reply.headers).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  receiver.port = (server.address() as AddressInfo).port;
  receiver.url = `http://127.0.0.1:${receiver.port}/hook`;
  atEnd(t, async () => {
    server.close();
    server.closeAllConnections();
  });
  return receiver;
}
