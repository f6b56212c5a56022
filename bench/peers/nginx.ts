import { type ChildProcess, execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { freePort, start, stopChild, waitUntil } from '../process.ts';
import { type DownloadWork, downloadPlan, type FilePeer, type Job, type UploadWork, uploadPlan } from './peer.ts';

const BLOCK_BYTES = 1024 * 1024;

/** nginx with WebDAV PUT (one file per chunk; no verification, no resumption) and sendfile GET. */
export class Nginx implements FilePeer {
  readonly name = 'nginx';
  private readonly port: number;
  private readonly child: ChildProcess;
  private readonly root: string;

  private constructor(child: ChildProcess, port: number, root: string) {
    this.child = child;
    this.port = port;
    this.root = root;
  }

  /** Why nginx cannot be measured here; null if it can. */
  static missing(): string | null {
    try {
      execFileSync('nginx', ['-v'], { stdio: 'ignore' });
      return null;
    } catch {
      return 'nginx is not installed and is not measured';
    }
  }

  static async start(directory: string): Promise<Nginx> {
    const root = join(directory, 'root');
    mkdirSync(join(root, 'up'), { recursive: true });
    const port = await freePort();
    const config = join(directory, 'nginx.conf');
    writeFileSync(config, configuration(directory, root, port));
    const child = start('nginx', ['-p', directory, '-c', config, '-e', join(directory, 'error.log')], {}, 'inherit');
    const up = async () => (await fetch(`http://127.0.0.1:${port}/alive`)).status === 204;
    await waitUntil(up, child, 10_000);
    return new Nginx(child, port, root);
  }

  pids(): number[] {
    const master = this.child.pid as number;
    return readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').trim().split(' ').map(Number);
  }

  async upload(work: UploadWork): Promise<Job> {
    if (work.layout === 'ranges') throw new Error('nginx writes whole files');
    const fields = `Host: 127.0.0.1\r\nContent-Length: ${work.bytes}`;
    const plan = uploadPlan(this.port, work, (connection) => ({
      head: `PUT /up/${connection}-{index} HTTP/1.1\r\n${fields}`,
      frame: 'none',
      expect: 201,
    }));
    const clean = async () => {
      rmSync(join(this.root, 'up'), { recursive: true });
      mkdirSync(join(this.root, 'up'));
    };
    return { plan, clean };
  }

  async store(fileBytes: number): Promise<void> {
    const file = openSync(join(this.root, `stored-${fileBytes}`), 'w');
    const block = randomFillSync(Buffer.alloc(BLOCK_BYTES));
    for (let at = 0; at < fileBytes; at += BLOCK_BYTES)
      writeSync(file, block, 0, Math.min(BLOCK_BYTES, fileBytes - at));
    closeSync(file);
  }

  async download(work: DownloadWork): Promise<Job> {
    const head = `GET /stored-${work.fileBytes} HTTP/1.1\r\nHost: 127.0.0.1`;
    return { plan: downloadPlan(this.port, head, work), clean: async () => {} };
  }

  stop(): Promise<void> {
    return stopChild(this.child, 'SIGQUIT', 3000);
  }
}

function configuration(directory: string, root: string, port: number): string {
  const asRoot = process.getuid?.() === 0;
  return `${asRoot ? 'user root;' : ''}
daemon off;
worker_processes ${availableParallelism()};
pid ${directory}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_max_body_size 0;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port};
    root ${root};
    location = /alive { return 204; }
    location /up/ { dav_methods PUT; }
  }
}
`;
}
