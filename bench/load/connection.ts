import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Series } from './plan.ts';
import { type Reply, ResponseReader } from './responses.ts';
import { HeadTemplate, positions, writeFrame } from './template.ts';

const READ_BUFFER_BYTES = 512 * 1024;

/** The bytes from which all uploads take their data, and Lading's checksum of each prefix. */
export interface Payload {
  slice(bytes: number): Buffer;
  checksum(bytes: number): number;
}

/** A keep-alive connection that sends the requests of its series one after another, each after the reply to the last. */
export class LoadConnection {
  bytes = 0;
  requests = 0;
  readonly latencies: number[] = [];
  private readonly series: Series;
  private readonly upload: boolean;
  private readonly order: Uint32Array;
  private readonly template: HeadTemplate;
  private readonly data: Buffer;
  private readonly checksum: number;
  private readonly keepLatencies: boolean;
  private socket: Socket | undefined;
  private next = 0;
  private sentAt = 0;
  private settle: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(series: Series, upload: boolean, payload: Payload, keepLatencies: boolean) {
    this.series = series;
    this.upload = upload;
    this.order = positions(series);
    this.template = new HeadTemplate(series.head);
    this.data = payload.slice(upload ? series.bytes : 0);
    this.checksum = series.frame !== 'none' ? payload.checksum(series.bytes) : 0;
    this.keepLatencies = keepLatencies;
  }

  async open(port: number): Promise<void> {
    const reader = new ResponseReader(this.series.expect, (reply) => this.onReply(reply));
    const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      // One buffer for all reads, so that reading does not allocate.
      onread: {
        buffer,
        callback: (length) => {
          try {
            reader.push(buffer.subarray(0, length));
          } catch (error) {
            this.fail(error instanceof Error ? error : new Error(String(error)));
          }
          return true;
        },
      },
    });
    this.socket = socket;
    await once(socket, 'connect');
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error(`the server closed the connection after ${this.requests} requests`)));
  }

  /** Sends all requests. Rejects at the first unexpected reply. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      this.send();
    });
  }

  close(): void {
    this.settle = undefined;
    this.socket?.destroy();
  }

  private send(): void {
    const index = this.order[this.next];
    if (index === undefined) {
      this.settle?.resolve();
      this.settle = undefined;
      return;
    }
    this.next += 1;
    const socket = this.socket as Socket;
    const text = this.template.render(index, this.series.bytes);
    const frame = this.series.frame === 'none' ? 0 : 17;
    const head = Buffer.allocUnsafe(text.length + frame);
    head.write(text, 0, 'latin1');
    if (frame > 0) {
      const position = this.series.frame === 'at-zero' ? 0 : index;
      writeFrame(head, text.length, position, this.series.bytes, this.checksum);
    }
    if (this.keepLatencies) this.sentAt = performance.now();
    if (this.data.length === 0) {
      socket.write(head);
      return;
    }
    socket.cork();
    socket.write(head);
    socket.write(this.data);
    socket.uncork();
  }

  private onReply(reply: Reply): void {
    if (reply.status !== this.series.expect) {
      this.fail(new Error(`expected ${this.series.expect}, got ${reply.status}: ${reply.excerpt}`));
      return;
    }
    if (!this.upload && reply.length !== this.series.bytes) {
      this.fail(new Error(`expected ${this.series.bytes} bytes, got ${reply.length}`));
      return;
    }
    if (this.keepLatencies) this.latencies.push(performance.now() - this.sentAt);
    this.bytes += this.series.bytes;
    this.requests += 1;
    this.send();
  }

  private fail(error: Error): void {
    const head = this.series.head.slice(0, this.series.head.indexOf('\r\n'));
    this.settle?.reject(new Error(`${head}: ${error.message}`));
    this.settle = undefined;
    this.socket?.destroy();
  }
}
