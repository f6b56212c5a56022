import type { Lading } from './lading.ts';
import { type Job, type Peer, type UploadWork, uploadPlan } from './peer.ts';

const VERSION = { 'Tus-Resumable': '1.0.0' };

/** Lading through its tus interface: one upload per connection, one PATCH per chunk. */
export class LadingTus implements Peer {
  readonly name: string;
  readonly port: number;
  private readonly lading: Lading;

  constructor(lading: Lading) {
    this.lading = lading;
    this.name = lading.name;
    this.port = lading.port;
  }

  pids(): number[] {
    return this.lading.pids();
  }

  /** Creates an upload. Returns its path. */
  async create(size: number): Promise<string> {
    const headers = { ...VERSION, ...this.authorization(), 'Upload-Length': String(size) };
    const reply = await fetch(`http://127.0.0.1:${this.port}/files/`, { method: 'POST', headers });
    const location = reply.headers.get('location');
    if (reply.status !== 201 || location === null) throw new Error(`creation: ${reply.status} ${await reply.text()}`);
    return location;
  }

  /** Request line and header fields of a PATCH, for the load generator. */
  head(path: string, bytes: number): string {
    const fields = `${this.lading.fields()}\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream`;
    return `PATCH ${path} HTTP/1.1\r\n${fields}\r\nUpload-Offset: {start}\r\nContent-Length: ${bytes}`;
  }

  async upload(work: UploadWork): Promise<Job> {
    if (work.layout === 'ranges') throw new Error('a tus upload takes one PATCH at a time');
    const size = work.bytes * work.chunksEach;
    const paths = await Promise.all(Array.from({ length: work.connections }, () => this.create(size)));
    const plan = uploadPlan(this.port, work, (connection) => ({
      head: this.head(paths[connection] ?? '', work.bytes),
      frame: 'none',
      expect: 204,
    }));
    return { plan, clean: () => this.removeAll() };
  }

  async offset(path: string): Promise<number> {
    const { status, headers } = await this.ask('HEAD', path);
    if (status !== 200) throw new Error(`HEAD: ${status}`);
    return Number(headers.get('upload-offset'));
  }

  async end(path: string): Promise<void> {
    await this.ask('DELETE', path);
  }

  private ask(method: string, path: string): Promise<Response> {
    const headers = { ...VERSION, ...this.authorization() };
    return fetch(`http://127.0.0.1:${this.port}${path}`, { method, headers });
  }

  stop(): Promise<void> {
    return this.lading.stop();
  }

  /** Deletes the files. For a complete upload, DELETE of tus deletes only the URL. */
  private async removeAll(): Promise<void> {
    const headers = this.authorization();
    for (;;) {
      const reply = await fetch(`http://127.0.0.1:${this.port}/api/files?limit=1000`, { headers });
      const { files } = (await reply.json()) as { files: { filename: string }[] };
      if (files.length === 0) return;
      await this.lading.remove(files.map(({ filename }) => encodeURIComponent(filename)));
    }
  }

  private authorization(): { authorization: string } {
    return { authorization: this.lading.authorization() };
  }
}
