/** nginx with the configuration of deploy/; only names, ports and the certificate differ. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from '../eventually.ts';
import { atEnd } from '../product/server.ts';
import { repoRoot } from '../root.ts';
import { tlsSettings } from '../wire/tls.ts';
import { temporaryFolder } from './processes.ts';
import { findProgram } from './programs.ts';

export interface NginxServer {
  /** `https://localhost:PORT` */
  origin: string;
  /** The path of the self-signed certificate. */
  certificate: string;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

/** Starts nginx in front of a server on this port, at `/` and below `/drive/`. */
export async function startNginx(t: TestContext, port: number): Promise<NginxServer> {
  const folder = await temporaryFolder(t);
  const { LADING_TLS_CERT: certificate, LADING_TLS_KEY: key } = await tlsSettings(folder);
  await mkdir(join(folder, 'logs'));
  const own = await freePort();
  const site = (await deployedSite())
    .replace('127.0.0.1:8005', `127.0.0.1:${port}`)
    .replace('listen 443 ssl http2;', `listen 127.0.0.1:${own} ssl http2;`)
    .replace('/etc/ssl/files.example.org.pem', certificate)
    .replace('/etc/ssl/files.example.org.key', key)
    .replace('files.example.org', 'localhost');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  const config = `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http { access_log off; ${temporary.join(' ')}
${site}
}`;
  await writeFile(join(folder, 'nginx.conf'), config);
  const log = join(folder, 'error.log');
  const child = spawn(findProgram('nginx') ?? '', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', log], {
    stdio: 'ignore',
  });
  let ended = false;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      ended = true;
      resolve();
    });
  });
  atEnd(t, async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const listens = async (): Promise<boolean> => {
    if (ended) throw new Error(`nginx ended: ${await readFile(log, 'utf8')}`);
    return fetch(`https://localhost:${own}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  };
  await eventually(listens, 'nginx');
  return { origin: `https://localhost:${own}`, certificate };
}

/** The configuration of deploy/nginx.conf with the location of deploy/nginx-below-a-path.conf. */
async function deployedSite(): Promise<string> {
  const read = (name: string) => readFile(join(repoRoot(), 'deploy', name), 'utf8');
  return (await read('nginx.conf')).replace(/\}\s*$/, `${await read('nginx-below-a-path.conf')}}\n`);
}
