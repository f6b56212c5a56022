import { mkdirSync } from 'node:fs';
import { Worker } from '../process.ts';
import { type Job, type Peer, type UploadWork, uploadPlan } from './peer.ts';

const VERSION = { 'Tus-Resumable': '1.0.0' };

/** `@tus/server` 2 with `@tus/file-store`: one upload per connection, one PATCH per chunk. */
export class Tus implements Peer {
  readonly name = 'tus';
  readonly port: number;
  private readonly worker: Worker;

  private constructor(worker: Worker) {
    this.worker = worker;
    this.port = worker.readyMessage as number;
  }

  static async start(directory: string): Promise<Tus> {
    mkdirSync(directory, { recursive: true });
    return new Tus(await Worker.start('./peers/tus-server.js', [directory]));
  }

  pids(): number[] {
    return [this.worker.child.pid as number];
  }

  /** Creates an upload. Returns its path. */
  async create(size: number): Promise<string> {
    const headers = { ...VERSION, 'Upload-Length': String(size) };
    const reply = await fetch(`http://127.0.0.1:${this.port}/files`, { method: 'POST', headers });
    await reply.arrayBuffer();
    const location = reply.headers.get('location');
    if (reply.status !== 201 || location === null) throw new Error(`tus creation: ${reply.status}`);
    return new URL(location, `http://127.0.0.1:${this.port}`).pathname;
  }

  async upload(work: UploadWork): Promise<Job> {
    if (work.layout === 'ranges') throw new Error('a tus upload takes one PATCH at a time');
    const paths = await Promise.all(
      Array.from({ length: work.connections }, () => this.create(work.bytes * work.chunksEach)),
    );
    const fields = `Host: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream`;
    const plan = uploadPlan(this.port, work, (connection) => ({
      head: `PATCH ${paths[connection]} HTTP/1.1\r\n${fields}\r\nUpload-Offset: {start}\r\nContent-Length: ${work.bytes}`,
      frame: 'none',
      expect: 204,
    }));
    return { plan, clean: () => this.remove(paths) };
  }

  async remove(paths: string[]): Promise<void> {
    for (const path of paths) {
      const reply = await fetch(`http://127.0.0.1:${this.port}${path}`, { method: 'DELETE', headers: VERSION });
      if (reply.status !== 204) throw new Error(`tus termination: ${reply.status}`);
    }
  }

  stop(): Promise<void> {
    return this.worker.stop();
  }
}
