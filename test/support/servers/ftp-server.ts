/** A real FTP server (proftpd) on loopback, with a directory and an account of its own. A test can stop and start it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from '../eventually.ts';
import { atEnd } from '../product/server.ts';
import { tlsSettings } from '../wire/tls.ts';

/** The reason to skip the tests that need proftpd; false if it is installed. */
export const noFtpServer: string | false =
  spawnSync('proftpd', ['-v']).error || spawnSync('ftpasswd', ['--version']).error ? 'proftpd is not installed' : false;

export const FTP_USER = 'lading';
export const FTP_PASSWORD = 'correct horse battery staple';

export interface FtpServer {
  port: number;
  /** The root directory of the account. */
  home: string;
  /** The certificate as PEM; null without TLS. */
  ca: string | null;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Names in one of its folders; empty if the folder does not exist. */
  names(folder?: string): Promise<string[]>;
}

export interface FtpOptions {
  tls?: boolean;
  /** TLS from the first byte. */
  implicit?: boolean;
  /** Data connections must reuse the TLS session of the control connection. */
  reuse?: boolean;
  /** Allows a file to be overwritten. */
  overwrite?: boolean;
  kilobytesPerSecond?: number;
  /** More lines of the configuration. */
  lines?: readonly string[];
  /** An existing directory for the account. */
  home?: string;
}

export async function startFtpServer(t: TestContext, options: FtpOptions = {}): Promise<FtpServer> {
  const {
    tls = false,
    implicit = false,
    reuse = false,
    overwrite = true,
    kilobytesPerSecond = 0,
    lines: more = [],
  } = options;
  const folder = await mkdtemp(join(tmpdir(), 'lading-ftp-'));
  const home = options.home ?? join(folder, 'home');
  await mkdir(home, { recursive: true });
  const port = await freePort();
  const users = join(folder, 'users');
  const { username, uid, gid } = userInfo();
  const account = ['--passwd', `--name=${FTP_USER}`, `--uid=${uid}`, `--gid=${gid}`, `--home=${home}`];
  const result = spawnSync('ftpasswd', [...account, '--shell=/bin/false', '--stdin', `--file=${users}`], {
    input: FTP_PASSWORD,
  });
  if (result.status !== 0) throw new Error(result.stderr.toString());
  const certificate = await tlsSettings(folder);
  const lines = [
    'ModulePath /usr/lib/proftpd',
    ...(tls ? ['LoadModule mod_tls.c'] : []),
    'ServerType standalone',
    'DefaultServer on',
    'DefaultAddress 127.0.0.1',
    'SocketBindTight on',
    `Port ${port}`,
    'UseReverseDNS off',
    'UseIPv6 off',
    `PidFile ${join(folder, 'pid')}`,
    `ScoreboardFile ${join(folder, 'scoreboard')}`,
    'DelayEngine off',
    `AuthUserFile ${users}`,
    'AuthOrder mod_auth_file.c',
    'RequireValidShell off',
    'RootLogin on',
    'WtmpLog off',
    'TransferLog NONE',
    `SystemLog ${join(folder, 'log')}`,
    `AllowOverwrite ${overwrite ? 'on' : 'off'}`,
    ...more,
    ...(kilobytesPerSecond > 0 ? [`TransferRate STOR ${kilobytesPerSecond}`] : []),
    `User ${username}`,
    `Group ${gid === 0 ? 'root' : `#${gid}`}`,
    // Only root may change it.
    ...(uid === 0 ? ['DefaultRoot ~'] : []),
    ...(tls
      ? [
          'TLSEngine on',
          'TLSRequired on',
          ...(reuse ? [] : ['TLSOptions NoSessionReuseRequired']),
          ...(implicit ? ['TLSOptions UseImplicitSSL'] : []),
          `TLSECCertificateFile ${certificate.LADING_TLS_CERT}`,
          `TLSECCertificateKeyFile ${certificate.LADING_TLS_KEY}`,
        ]
      : []),
  ];
  const config = join(folder, 'proftpd.conf');
  await writeFile(config, `${lines.join('\n')}\n`);
  let child: ChildProcess | null = null;
  const stop = async (): Promise<void> => {
    const running = child;
    child = null;
    if (!running) return;
    const exited = once(running, 'exit');
    // It hands sessions to processes of their own, which end with their group.
    process.kill(-(running.pid as number), 'SIGKILL');
    await exited;
  };
  const start = async (): Promise<void> => {
    child = spawn('proftpd', ['-n', '-c', config], { stdio: 'ignore', detached: true });
    await eventually(() => answers(port), 'the FTP server');
  };
  atEnd(t, () => rm(folder, { recursive: true, force: true }));
  atEnd(t, stop);
  await start();
  return {
    port,
    home,
    ca: tls ? await readFile(certificate.LADING_TLS_CERT, 'utf8') : null,
    start,
    stop,
    names: async (of = '.') => (await readdir(join(home, of)).catch(() => [])).sort(),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
