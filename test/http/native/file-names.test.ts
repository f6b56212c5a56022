/** File names in forms and header fields, and codings of the part that is the file. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { wav } from '../../support/audio.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { Wire, type WireResponse } from '../../support/wire/wire.ts';

const BOUNDARY = 'xxBOUNDARYxx';
const BYTES = wav({ seconds: 0.1 });

/** A form with one file and exactly this header section. */
async function sendForm({ port, client }: TestServer, path: string, ...fields: string[]): Promise<WireResponse> {
  const head = `--${BOUNDARY}\r\n${fields.join('\r\n')}\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(head, 'latin1'), BYTES, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
  const wire = await Wire.open(port);
  wire.head(
    `POST ${path} HTTP/1.1`,
    'Host: a',
    `Authorization: ${client.headers.authorization}`,
    `Content-Type: multipart/form-data;\tboundary=${BOUNDARY};`,
    `Content-Length: ${body.length}`,
  );
  wire.send(body);
  try {
    return await wire.response();
  } finally {
    wire.destroy();
  }
}

const disposition = (parameters: string): string => `Content-Disposition: form-data; name="file"; ${parameters}`;
const utf8 = (text: string): string => Buffer.from(text).toString('latin1');

async function namesOf({ origin, client }: TestServer): Promise<string[]> {
  const reply = await fetch(`${origin}/api/files`, { headers: client.headers });
  return ((await reply.json()) as { files: { filename: string }[] }).files.map(({ filename }) => filename);
}

async function createByField({ port, client }: TestServer, parameters: string): Promise<WireResponse> {
  const socket = connect(port, '127.0.0.1');
  const lines = [
    'POST /api/uploads HTTP/1.1',
    'Host: a',
    'Connection: close',
    `Authorization: ${client.headers.authorization}`,
    `Content-Disposition: attachment; ${parameters}`,
    'Content-Length: 1',
  ];
  socket.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\nx`, 'latin1'));
  let text = '';
  for await (const piece of socket) text += String(piece);
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), headers: {}, body };
}

const NAMES: [parameters: string, name: string][] = [
  [`filename="${utf8('naïve 日本.wav')}"`, 'naïve 日本.wav'],
  ['filename="C:\\dir\\new x.wav"', 'new x.wav'],
  ['filename="\\\\server\\share\\y.wav"', 'y.wav'],
  ['filename="a\\"b\\\\.wav"', '.wav'],
  ['filename="say \\"hi\\".wav"', 'say "hi".wav'],
  ['filename=plain.wav', 'plain.wav'],
  ['filename="x.wav"; filename*=UTF-8\'\'na%C3%AFve.wav', 'naïve.wav'],
  ["filename*=UTF-8''%e6%97%a5.wav", '日.wav'],
  ['filename="known.wav"; filename*=KOI8-R\'\'%c1.wav', 'known.wav'],
  ['filename="a/b/c.wav"', 'c.wav'],
];

test('names in forms and in Content-Disposition are read as UTF-8, without directories', async (t) => {
  const server = await startServer(t);
  for (const [parameters, name] of NAMES) {
    const audio = await sendForm(server, '/v1/audio/file?overwrite=true', disposition(parameters));
    assert.equal(audio.status, 200, `${parameters}: ${audio.body}`);
    assert.equal((JSON.parse(audio.body) as { file_name: string }).file_name, name, parameters);
    assert.equal(
      (
        await fetch(`${server.origin}/api/files/${encodeURIComponent(name)}`, {
          method: 'DELETE',
          headers: server.client.headers,
        })
      ).status,
      200,
    );
    const upload = await createByField(server, parameters);
    assert.equal(upload.status, 201, upload.body);
    assert.ok((await namesOf(server)).includes(name), `${name}: ${await namesOf(server)}`);
    assert.equal(
      (
        await fetch(`${server.origin}/api/files/${encodeURIComponent(name)}`, {
          method: 'DELETE',
          headers: server.client.headers,
        })
      ).status,
      200,
    );
  }
});

test('names that are not UTF-8 are refused everywhere and never converted', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  for (const parameters of [
    'filename="l\xe9.wav"',
    'filename="l\xe8.wav"',
    'filename="\xc0\xaf.wav"',
    'filename="\xed\xa0\x80.wav"',
    'filename="x.wav"; filename*=UTF-8\'\'l%E9.wav',
  ]) {
    for (const path of ['/v1/audio/file?overwrite=true', '/api/upload?overwrite=true']) {
      const field = disposition(parameters).replace('"file"', path.startsWith('/v1') ? '"file"' : '"audio_file"');
      const form = await sendForm(server, path, field);
      assert.equal(form.status, 400, `${path} ${parameters}: ${form.body}`);
      if (path.startsWith('/v1')) assert.match(form.body, /"code":"invalid_name"/);
    }
    const named = await createByField(server, parameters);
    assert.equal(named.status, 400, `${parameters}: ${named.body}`);
    assert.match(named.body, /"code":"invalid_name"/);
  }
  const tus = await fetch(`${origin}/files/`, {
    method: 'POST',
    headers: {
      ...client.headers,
      'tus-resumable': '1.0.0',
      'upload-length': '1',
      'upload-metadata': `filename ${Buffer.from('l\xe9.wav', 'latin1').toString('base64')}`,
    },
  });
  assert.equal(((await tus.json()) as { code: string }).code, 'invalid_name');
  for (const [method, path] of [
    ['POST', '/api/files/upload?filename=l%E9.wav'],
    ['PUT', '/api/files/content/l%E9.wav'],
    ['DELETE', '/api/files/l%E9.wav'],
  ] as const) {
    const reply = await fetch(`${origin}${path}`, { method, headers: client.headers });
    assert.equal(((await reply.json()) as { code: string }).code, 'invalid_name', path);
  }
  assert.deepEqual(await namesOf(server), []);
});

test('a file in a form must be neither encoded nor a part of another file', async (t) => {
  const server = await startServer(t);
  const name = disposition('filename="a.wav"');
  for (const field of ['Content-Encoding: gzip', 'Content-Transfer-Encoding: base64']) {
    const form = await sendForm(server, '/v1/audio/file', name, field);
    assert.equal(form.status, 415, form.body);
    const legacy = await sendForm(server, '/api/upload', name.replace('"file"', '"audio_file"'), field);
    assert.equal(legacy.status, 415, legacy.body);
    const chunk = await sendForm(server, '/api/files/upload?filename=a.wav', name, field);
    assert.equal(chunk.status, 415, chunk.body);
  }
  for (const field of ['Content-Range: bytes 5-9/10', 'content-range: bytes */10', 'Content-Range: junk']) {
    for (const path of ['/v1/audio/file', '/api/upload', '/api/files/upload?filename=a.wav']) {
      const part = path === '/api/upload' ? name.replace('"file"', '"audio_file"') : name;
      assert.equal((await sendForm(server, path, part, field)).status, 400, `${path} ${field}`);
    }
  }
  assert.deepEqual(await namesOf(server), []);
  for (const field of ['Content-Encoding: identity', 'Content-Transfer-Encoding: binary']) {
    assert.equal((await sendForm(server, '/v1/audio/file?overwrite=true', name, field)).status, 200);
  }
});
