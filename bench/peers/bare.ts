import { Worker } from '../process.ts';
import { type DownloadWork, downloadPlan, type Job, type Peer, type UploadWork, uploadPlan } from './peer.ts';

/** A node:http server that discards bodies, and a socket server that only counts bytes. */
export class Bare implements Peer {
  readonly name = 'bare';
  readonly port: number;
  private readonly sinkPort: number;
  private readonly worker: Worker;

  private constructor(worker: Worker) {
    const ports = worker.readyMessage as { http: number; sink: number };
    this.worker = worker;
    this.port = ports.http;
    this.sinkPort = ports.sink;
  }

  static async start(): Promise<Bare> {
    return new Bare(await Worker.start('./peers/bare-server.js'));
  }

  pids(): number[] {
    return [this.worker.child.pid as number];
  }

  async upload(work: UploadWork): Promise<Job> {
    return this.discardJob(work, this.port);
  }

  /** Like `upload`, to the server that only counts bytes. */
  async sink(work: UploadWork): Promise<Job> {
    return this.discardJob(work, this.sinkPort);
  }

  async download(work: DownloadWork): Promise<Job> {
    const head = `GET /bytes/${work.bytes} HTTP/1.1\r\nHost: 127.0.0.1`;
    // The bare server does not support ranges and always sends the whole file.
    return { plan: downloadPlan(this.port, head, { ...work, fileBytes: work.bytes }), clean: async () => {} };
  }

  stop(): Promise<void> {
    return this.worker.stop();
  }

  private discardJob(work: UploadWork, port: number): Job {
    const fields = `Host: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nContent-Length: ${work.bytes + 17}`;
    const series = { head: `POST /{index} HTTP/1.1\r\n${fields}`, frame: 'at-position' as const, expect: 200 };
    return { plan: uploadPlan(port, work, () => series), clean: async () => {} };
  }
}
