/** Permanent connection failures end a command at once and say what to do, instead of retrying for an hour. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LadingClient, NetworkError } from '../../../src/client/client.ts';
import { connect } from '../../../src/client/node.ts';
import { startServer } from '../../support/product/server.ts';
import { authority, noOpenssl } from '../../support/servers/certificates.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Checks that every command and both transports fail at once, with matching messages. */
async function failsAtOnce(t: TestContext, server: string, ...messages: RegExp[]): Promise<void> {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'f'), 'content');
  const env = { LADING_SERVER: server, LADING_CLIENT_ID: 'a', LADING_CLIENT_SECRET: 'b' };
  for (const args of [
    ['ls'],
    ['upload', 'f'],
    ['download', 'f'],
    ['download', 'f', '-o', '-'],
    ['status', 'f', '-w'],
  ]) {
    const { code, stderr } = await runCli(t, args, { cwd: folder, env });
    assert.equal(code, 7, `${args.join(' ')}: ${stderr}`);
    for (const message of messages) assert.match(stderr, message, args.join(' '));
    assert.doesNotMatch(stderr, /Retrying/);
  }
  // The library, with both transports. The token makes a sign-in unnecessary.
  for (const client of [connect({ server, token: 't' }), new LadingClient({ server, token: 't' })]) {
    t.after(() => client.close());
    const source = { size: 3, read: async () => new Uint8Array(3) };
    await assert.rejects(
      client.upload(source, { name: 'f', retryForMs: 20_000 }),
      (error) => error instanceof NetworkError && error.final,
    );
    for (const range of [undefined, { start: 0 }, { suffix: 1 }]) {
      await assert.rejects(
        client.read('f', { retryForMs: 20_000, ...(range ? { range } : {}) }).next(),
        (error) => error instanceof NetworkError && error.final,
      );
    }
  }
}

test('an untrusted, misnamed or expired certificate is final', { skip: noOpenssl }, async (t) => {
  const { sign, caPath, ca } = authority(t);
  const https = async (
    certificate: { cert: string; key: string },
    answer: RequestListener = (_, response) => response.end(),
  ) => `https://127.0.0.1:${await listening(t, createHttps(certificate, answer))}`;
  const trusted = /--ca FILE.*NODE_EXTRA_CA_CERTS=FILE/;
  await failsAtOnce(t, await https(sign()), /^lading: .*not signed by a trusted authority/m, trusted);
  const names = await https(sign('DNS:files.example.org'));
  const past = await https(sign(undefined, -1));
  const env = (server: string) => ({ LADING_SERVER: server, LADING_TOKEN: 't', LADING_CA: caPath });
  for (const [server, words] of [
    [names, /different host name.*ALTNAME/],
    [past, /expired.*clock/],
  ] as const) {
    const { code, stderr } = await runCli(t, ['upload', caPath], { env: env(server) });
    assert.equal(code, 7);
    assert.match(stderr, words);
    const client = connect({ server, token: 't', ca });
    t.after(() => client.close());
    await assert.rejects(client.status('f'), (error) => error instanceof NetworkError && error.final);
  }
});

test('--ca, LADING_CA, login and NODE_EXTRA_CA_CERTS specify trusted authorities', { skip: noOpenssl }, async (t) => {
  const { sign, caPath } = authority(t);
  const { certPath, keyPath } = sign();
  const server = await startServer(t, { LADING_TLS_CERT: certPath, LADING_TLS_KEY: keyPath });
  const LADING_SERVER = `https://127.0.0.1:${server.port}`;
  const env = { LADING_SERVER, LADING_TOKEN: server.client.token };
  const code = async (args: string[], more: Record<string, string> = {}) =>
    (await runCli(t, args, { env: { ...env, ...more } })).code;
  assert.equal(await code(['ls']), 7);
  assert.equal(await code(['ls', '--ca', caPath]), 0);
  assert.equal(await code(['ls'], { LADING_CA: caPath }), 0);
  assert.equal(await code(['ls'], { NODE_EXTRA_CA_CERTS: caPath }), 0);
  assert.equal(await code(['ls', '--ca', keyPath]), 2, 'no certificate');
  assert.equal(await code(['ls', '--ca', `${caPath}.absent`]), 9);
  const XDG_CONFIG_HOME = await temporaryFolder(t);
  const login = ['login', '--server', LADING_SERVER, '--client-id', server.client.id, '--client-secret-file', '-'];
  const signed = await runCli(t, [...login, '--ca', caPath], { env: { XDG_CONFIG_HOME }, input: server.client.secret });
  assert.equal(signed.code, 0, signed.stderr);
  assert.equal((await runCli(t, ['ls'], { env: { XDG_CONFIG_HOME } })).code, 0);
  // A stored authority applies to its own server only, as the secret does.
  const other = await runCli(t, ['ls', '--server', `https://localhost:${server.port}`], {
    env: { XDG_CONFIG_HOME, LADING_TOKEN: server.client.token },
  });
  assert.equal(other.code, 7);
});

test('a self-signed certificate is final and the message names --ca', { skip: noOpenssl }, async (t) => {
  const { caPath, ca } = authority(t);
  const { readFile } = await import('node:fs/promises');
  const key = await readFile(caPath.replace(/pem$/, 'key'), 'utf8');
  const port = await listening(t, createHttps({ cert: ca, key }));
  await failsAtOnce(t, `https://127.0.0.1:${port}`, /self-signed/, /--ca FILE/);
});

test('http:// to a TLS port and https:// to a plain port are final', { skip: noOpenssl }, async (t) => {
  const { certPath, keyPath, cert, key } = authority(t).sign();
  const { port } = await startServer(t, { LADING_TLS_CERT: certPath, LADING_TLS_KEY: keyPath });
  await failsAtOnce(t, `http://127.0.0.1:${port}`, new RegExp(`https://127.0.0.1:${port}`));
  const bare = await listening(t, createHttps({ cert, key }));
  await failsAtOnce(t, `http://localhost:${bare}`, new RegExp(`https://localhost:${bare}`));
  const plain = await startServer(t);
  await failsAtOnce(t, `https://127.0.0.1:${plain.port}`, /does not use TLS.*http:\/\//);
});

test('an unknown host and a different program at the address are final', async (t) => {
  await failsAtOnce(t, 'http://no-such-host.invalid:8005', /host name does not exist.*no-such-host\.invalid/);
  const page = (status: number): RequestListener => {
    return (request, response) => {
      request.resume();
      response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>');
    };
  };
  await failsAtOnce(t, `http://127.0.0.1:${await listening(t, createHttp(page(200)))}`, /not from a Lading server/);
  const { createServer } = await import('node:net');
  const ssh = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('SSH-2.0-OpenSSH_9.2\r\n');
  });
  await failsAtOnce(t, `http://127.0.0.1:${await listening(t, ssh)}`, /does not speak HTTP/);
});

test('a redirect is final and the message contains its target', async (t) => {
  const seen: string[] = [];
  const front = createHttp((request, response) => {
    seen.push(request.headers.authorization ?? '');
    request.resume();
    response.writeHead(301, { location: `https://files.example.org/lading${request.url}` }).end();
  });
  const port = await listening(t, front);
  await failsAtOnce(t, `http://127.0.0.1:${port}`, /answered 301.*--server https:\/\/files\.example\.org\/lading\/$/m);
  const login = createHttp((request, response) => {
    request.resume();
    response.writeHead(302, { location: '/login?next=%2F' }).end();
  });
  const other = await listening(t, login);
  await failsAtOnce(t, `http://127.0.0.1:${other}`, new RegExp(`302.*to http://127.0.0.1:${other}/login.* Check`));
});

test('a refused connection is retried, because the server may be starting', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'f'), 'x');
  const env = { LADING_SERVER: 'http://127.0.0.1:9', LADING_TOKEN: 't' };
  const { code, stderr } = await runCli(t, ['upload', 'f', '--retry-for', '1s'], { cwd: folder, env });
  assert.equal(code, 7);
  assert.match(stderr, /The connection was refused.*ECONNREFUSED 127\.0\.0\.1:9.*Retrying in/);
});
