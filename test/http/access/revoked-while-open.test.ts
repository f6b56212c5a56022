/** Requests that are still running when their token is revoked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, get as request, request as send } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { put } from '../../support/wire/downloads.ts';

const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz');

async function apiToken({ origin, client }: TestServer, scope = 'files:read'): Promise<{ id: string; token: string }> {
  const reply = await fetch(`${origin}/api/tokens`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ scopes: [scope] }),
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

test('a stream of status events ends at the next change and does not report it', async (t) => {
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

test('a followed download is cut off and sends no bytes that arrived later', async (t) => {
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

const FORM = 'multipart/form-data; boundary=b';
const part = (name: string) => `--b\r\nContent-Disposition: form-data; name="${name}"; filename="f.wav"\r\n\r\n`;
const chunk = encodeChunk(0, ALPHABET);
/** Routes that receive bytes: the path, the media type, and the body in two halves. */
const UPLOADS: [path: string, type: string, first: Uint8Array, second: Uint8Array][] = [
  ['/api/files/upload?filename=f&total_size=26', 'application/octet-stream', chunk.subarray(0, 30), chunk.subarray(30)],
  [
    '/api/files/upload?filename=f&total_size=26',
    FORM,
    Buffer.concat([Buffer.from(part('file')), chunk.subarray(0, 30)]),
    Buffer.concat([chunk.subarray(30), Buffer.from('\r\n--b--\r\n')]),
  ],
  ['/v1/audio/file', FORM, Buffer.from(`${part('file')}RIFF`), Buffer.from('WAVE\r\n--b--\r\n')],
];

for (const [path, type, first, second] of UPLOADS) {
  for (const rest of [true, false]) {
    const name = `${path} as ${type.split(';')[0]}, revoked in its middle, ${rest ? 'then sent to its end' : 'then silent'}`;
    test(`${name}: none of its bytes count`, async (t) => {
      const server = await startServer(t);
      const { id, token } = await apiToken(server, 'files:write');
      const headers = {
        authorization: `Bearer ${token}`,
        'content-type': type,
        'content-length': first.length + second.length,
        expect: '100-continue',
      };
      const asked = send({ port: server.port, method: 'POST', path, headers });
      asked.on('error', () => {});
      const answered = once(asked, 'response');
      asked.flushHeaders();
      // The request was accepted.
      await once(asked, 'continue');
      asked.write(first);
      await revoke(server, id);
      if (rest) asked.end(second);
      const [answer] = (await answered) as [IncomingMessage];
      assert.equal(answer.statusCode, 401);
      const { code } = JSON.parse(await text(answer)) as { code: string };
      asked.destroy();
      assert.equal(code, 'unauthorized');
      const list = await fetch(`${server.origin}/api/files`, { headers: server.client.headers });
      const { files } = (await list.json()) as { files: { bytes_received: number }[] };
      assert.equal(
        files.reduce((sum, file) => sum + file.bytes_received, 0),
        0,
      );
    });
  }
}
