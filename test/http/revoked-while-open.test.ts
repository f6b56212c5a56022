/** Answers that are still going on when the token that they were asked for with is revoked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, get as request } from 'node:http';
import { test } from 'node:test';
import { put } from '../support/downloads.ts';
import { startServer, type TestServer } from '../support/server.ts';

const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz');

async function apiToken({ origin, client }: TestServer): Promise<{ id: string; token: string }> {
  const reply = await fetch(`${origin}/api/tokens`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ scopes: ['files:read'] }),
  });
  const { token_id: id, token } = (await reply.json()) as { token_id: string; token: string };
  return { id, token };
}

async function open({ port }: TestServer, path: string, token: string, accept = '*/*'): Promise<IncomingMessage> {
  const asked = request({ port, path, headers: { authorization: `Bearer ${token}`, accept } });
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  return answer;
}

async function revoke({ origin, client }: TestServer, id: string): Promise<void> {
  const reply = await fetch(`${origin}/api/tokens/${id}`, { method: 'DELETE', headers: client.headers });
  assert.equal(reply.status, 200);
}

test('a stream of status events ends with the next change, and does not tell of it', async (t) => {
  const server = await startServer(t);
  await put(server, 'f', 0, ALPHABET.subarray(0, 5), { total_size: '26' });
  const { id, token } = await apiToken(server);
  const stream = await open(server, '/api/files/status/f', token, 'text/event-stream');
  let told = '';
  stream.setEncoding('utf8').on('data', (piece: string) => {
    told += piece;
  });
  await once(stream, 'data');
  await revoke(server, id);
  await put(server, 'f', 5, ALPHABET.subarray(5, 10));
  await once(stream, 'end');
  assert.match(told, /"bytes_received":5/);
  assert.doesNotMatch(told, /"bytes_received":10/);
});

test('a followed download is cut, and sends nothing that came afterwards', async (t) => {
  const server = await startServer(t);
  await put(server, 'f', 0, ALPHABET.subarray(0, 5), { total_size: '26' });
  const { id, token } = await apiToken(server);
  const followed = await open(server, '/api/files/download/f?follow=true', token);
  let got = '';
  followed.setEncoding('utf8').on('data', (piece: string) => {
    got += piece;
  });
  while (got.length < 5) await once(followed, 'data');
  await revoke(server, id);
  const cut = once(followed, 'error');
  await put(server, 'f', 5, ALPHABET.subarray(5));
  await cut;
  assert.equal(got, 'abcde');
  assert.equal(followed.complete, false);
});
