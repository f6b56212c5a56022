/** Signals that servers get: a terminal that closes, a request to reload, others that mean nothing. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { eventually } from '../support/eventually.ts';
import { repoRoot } from '../support/root.ts';
import { type Running, startCli, temporaryFolder, until } from '../support/servers/processes.ts';
import { without } from '../support/servers/programs.ts';

const MAIN = join(repoRoot(), 'dist/src/main.js');

interface Server extends Running {
  port: number;
}

async function serve(t: TestContext, dataDir: string, settings: Record<string, string> = {}): Promise<Server> {
  const running = startCli(t, ['serve'], {
    env: {
      LADING_HOST: '127.0.0.1',
      LADING_PORT: '0',
      LADING_DATA_DIR: dataDir,
      LADING_ADMIN_ID: 'admin',
      LADING_ADMIN_SECRET: 'secret-of-the-administrator',
      LADING_WORKERS: '1',
      ...settings,
    },
  });
  const [, port] = await until(running, /listens on https?:\/\/127\.0\.0\.1:(\d+)/);
  return { ...running, port: Number(port) };
}

async function isHealthy(port: number): Promise<boolean> {
  const reply = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
  return reply?.ok === true;
}

test('SIGHUP, SIGUSR2 and SIGPIPE do not end the server, and SIGTERM still stops it in order', async (t) => {
  const server = await serve(t, await temporaryFolder(t));
  for (const signal of ['SIGHUP', 'SIGUSR2', 'SIGPIPE', 'SIGHUP'] as const) {
    server.process.kill(signal);
    assert.ok(await isHealthy(server.port), signal);
  }
  await until(server, /"msg":"reloaded"/);
  assert.ok(await isHealthy(server.port));
  server.process.kill('SIGTERM');
  assert.equal((await server.finished).code, 0);
});

test('SIGHUP before the server listens does not end it and takes effect later', async (t) => {
  const dataDir = await temporaryFolder(t);
  const env = { PATH: process.env.PATH ?? '', LADING_HOST: '127.0.0.1', LADING_PORT: '0', LADING_DATA_DIR: dataDir };
  // The first thing that the program does is to load itself: signals of the time before are the system's.
  const script = `process.argv[1] = ''; const { serve } = await import(${JSON.stringify(MAIN)});
    const started = serve([]); for (let i = 0; i < 50; i += 1) { process.kill(process.pid, 'SIGHUP'); await new Promise(setImmediate); } await started;`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
  }
  await eventually(() => said.includes('listens on'), 'the address of the server');
  await eventually(() => said.includes('"msg":"reloaded"'), 'what the signal asked for');
  assert.equal(child.exitCode, null);
});

test('SIGHUP reopens the log file', async (t) => {
  const folder = await temporaryFolder(t);
  const log = join(folder, 'lading.log');
  const server = await serve(t, join(folder, 'data'), { LADING_LOG_FILE: log });
  await fetch(`http://127.0.0.1:${server.port}/before`);
  await rename(log, `${log}.1`);
  server.process.kill('SIGHUP');
  await eventually(async () => /"msg":"reloaded"/.test(await readFile(log, 'utf8').catch(() => '')), 'a new log file');
  await fetch(`http://127.0.0.1:${server.port}/after`);
  await eventually(async () => /"path":"\/after"/.test(await readFile(log, 'utf8')), 'the line of a request');
  assert.match(await readFile(`${log}.1`, 'utf8'), /"path":"\/before"/);
  assert.equal(server.stderr(), '', 'nothing goes to standard error');
});

/** A self-signed certificate of this name, and its key, in PEM. */
async function certificate(folder: string, name: string): Promise<{ cert: string; key: string }> {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}

async function nameOnTheWire(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

test('SIGHUP reloads the certificate, and keeps the old one if the new one is invalid', {
  skip: without('openssl'),
}, async (t) => {
  const folder = await temporaryFolder(t);
  const [old, renewed, other] = [
    await certificate(folder, 'old'),
    await certificate(folder, 'renewed'),
    await certificate(folder, 'other'),
  ];
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const write = async (pair: { cert: string; key: string }): Promise<void> => {
    await writeFile(cert, pair.cert);
    await writeFile(key, pair.key);
  };
  await write(old);
  const server = await serve(t, join(folder, 'data'), { LADING_TLS_CERT: cert, LADING_TLS_KEY: key });
  assert.equal(await nameOnTheWire(server.port), 'old');

  await write(renewed);
  server.process.kill('SIGHUP');
  await until(server, /"msg":"reloaded"/);
  assert.equal(await nameOnTheWire(server.port), 'renewed');

  for (const [bad, what] of [
    [{ cert: other.cert, key: renewed.key }, 'a certificate of another key'],
    [{ cert: 'nothing', key: 'nothing' }, 'no certificate at all'],
  ] as const) {
    await write(bad);
    const before = server.stderr().length;
    server.process.kill('SIGHUP');
    await eventually(() => server.stderr().slice(before).includes('the old one stays in use'), `a word about ${what}`);
    assert.equal(await nameOnTheWire(server.port), 'renewed', what);
  }
});

for (const nohup of [true, false]) {
  const skip = without('script') || (nohup && without('nohup'));
  const how = nohup ? 'under nohup' : 'in the foreground';
  test(`a server that was started ${how} outlives its terminal`, { skip }, async (t) => {
    const folder = await temporaryFolder(t);
    const said = join(folder, 'said');
    // A pipe in between would keep the terminal from being standard error, which closes too.
    const command = `${nohup ? 'nohup ' : ''}${process.execPath} ${MAIN} > ${said}`;
    const terminal = spawn('script', ['-qfc', `echo $$ > ${folder}/pid; exec ${command}`, '/dev/null'], {
      env: {
        PATH: process.env.PATH ?? '',
        SHELL: '/bin/sh',
        LADING_HOST: '127.0.0.1',
        LADING_PORT: '0',
        LADING_DATA_DIR: join(folder, 'data'),
        LADING_WORKERS: '1',
      },
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    t.after(async () => {
      terminal.kill('SIGKILL');
      const pid = Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => ''));
      if (pid > 0) process.kill(pid, 'SIGKILL');
    });
    let port = 0;
    await eventually(async () => {
      const text = await readFile(said, 'utf8').catch(() => '');
      port = Number(/listens on \S+:(\d+)/.exec(text)?.[1] ?? 0);
      return port > 0;
    }, 'the address of the server');
    const closed = once(terminal, 'exit');
    terminal.kill('SIGKILL');
    await closed;
    // Each is a line for a terminal that is not there.
    for (let i = 0; i < 20; i += 1) {
      const reply = await fetch(`http://127.0.0.1:${port}/nothing`);
      assert.equal(reply.status, 404);
    }
  });
}
