/** The counters of `/metrics`. A request costs one addition in memory; the text is built on request. */

import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { version } from '../../version.ts';
import { METRIC_HELP, type MetricName } from './metric-help.ts';

/** Buckets in seconds, from a small chunk on a fast disk to a large one on a slow network. */
const CHUNK_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Requests counted by status, for one route and method. */
interface RouteCount {
  method: string;
  route: string;
  byStatus: Map<number, number>;
}

/** Sums since the start. */
export interface Counts {
  received: number;
  sent: number;
  chunks: number;
  /** Chunks that came in requests of their own, and their total duration. */
  timedChunks: number;
  chunkSeconds: number;
  requests: number;
  /** Requests that were answered with 400 or above. */
  refused: number;
}

/** The metrics of one server. */
export class Metrics {
  readonly registry = new Registry();
  readonly #chunkSeconds: Histogram;
  readonly #routes = new Map<string, RouteCount>();
  readonly #sockets = new Set<Socket>();
  /** Bytes of closed connections; those of open ones are read from the sockets. */
  readonly #closed = { received: 0, sent: 0 };
  #chunks = 0;
  #chunkBytes = 0;
  #timedChunks = 0;
  #chunkSecondsSum = 0;
  #refusedConnections = 0;
  #unread = 0;

  /** @param gauges reads the metrics of other parts of the server; those whose names end in `_total` are counters */
  constructor(gauges: () => Record<MetricName, number>) {
    collectDefaultMetrics({ register: this.registry, prefix: 'lading_' });
    // These are gauges with names of counters.
    for (const what of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`lading_nodejs_active_${what}_total`);
    this.#chunkSeconds = new Histogram({
      name: 'lading_chunk_duration_seconds',
      help: 'From the request of an accepted chunk to its acknowledgement.',
      buckets: CHUNK_SECONDS,
      registers: [this.registry],
    });
    this.#requests();
    this.#total('lading_chunks_total', 'Chunks acknowledged since the start.', () => this.#chunks);
    this.#total('lading_chunk_bytes_total', 'Data bytes of acknowledged chunks.', () => this.#chunkBytes);
    this.#total('lading_received_bytes_total', 'Bytes received on all connections.', () => this.#bytes('received'));
    this.#total('lading_sent_bytes_total', 'Bytes sent on all connections.', () => this.#bytes('sent'));
    this.#gauge('lading_connections', 'Connections of clients that are open now.', () => this.#sockets.size);
    this.#total(
      'lading_refused_connections_total',
      'Connections closed because their address had too many.',
      () => this.#refusedConnections,
    );
    this.#total(
      'lading_unread_answers_total',
      'Answers cut off because the client did not read them.',
      () => this.#unread,
    );
    this.#build();
    for (const [name, help] of Object.entries(METRIC_HELP)) {
      const read = (): number => gauges()[name as MetricName];
      if (name.endsWith('_total')) this.#total(`lading_${name}`, help, read);
      else this.#gauge(`lading_${name}`, help, read);
    }
  }

  /** The totals since the start. Callers compute rates from two of them. */
  counts(): Counts {
    let requests = 0;
    let refused = 0;
    for (const { byStatus } of this.#routes.values()) {
      for (const [status, count] of byStatus) {
        requests += count;
        if (status >= 400) refused += count;
      }
    }
    const [received, sent] = [this.#bytes('received'), this.#bytes('sent')];
    return {
      received,
      sent,
      chunks: this.#chunks,
      timedChunks: this.#timedChunks,
      chunkSeconds: this.#chunkSecondsSum,
      requests,
      refused,
    };
  }

  /**
   * Counts an answered request.
   * @param route pattern of the route; null if no route matched, and then the method may be any word
   */
  request(method: string, route: string | null, status: number): void {
    if (route === null) this.#count('other', 'none', status);
    else this.#count(method, route, status);
  }

  #count(method: string, route: string, status: number): void {
    const key = `${method} ${route}`;
    let count = this.#routes.get(key);
    if (!count) {
      count = { method, route, byStatus: new Map() };
      this.#routes.set(key, count);
    }
    count.byStatus.set(status, (count.byStatus.get(status) ?? 0) + 1);
  }

  /** Counts an acknowledged chunk. @param since `performance.now()` when the request arrived */
  chunk(bytes: number, since: number): void {
    this.#chunks += 1;
    this.#chunkBytes += bytes;
    const seconds = (performance.now() - since) / 1000;
    this.#timedChunks += 1;
    this.#chunkSecondsSum += seconds;
    this.#chunkSeconds.observe(seconds);
  }

  /** Counts chunks of a train that were committed together. */
  group(chunks: number, bytes: number): void {
    this.#chunks += chunks;
    this.#chunkBytes += bytes;
  }

  /** Counts a refused connection. Returns the total. */
  refused(): number {
    this.#refusedConnections += 1;
    return this.#refusedConnections;
  }

  /** Counts answers that were cut off because the client did not read them. */
  unreadAnswers(count: number): void {
    this.#unread += count;
  }

  /** Counts the socket's bytes until it is closed. */
  connection(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#closed.received += socket.bytesRead;
      this.#closed.sent += socket.bytesWritten;
    });
  }

  #bytes(direction: 'received' | 'sent'): number {
    let sum = this.#closed[direction];
    for (const socket of this.#sockets) sum += direction === 'received' ? socket.bytesRead : socket.bytesWritten;
    return sum;
  }

  #requests(): void {
    const routes = this.#routes;
    new Counter({
      name: 'lading_requests_total',
      help: 'Requests answered since the start, by method, route and status.',
      labelNames: ['method', 'route', 'status'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { method, route, byStatus } of routes.values()) {
          for (const [status, count] of byStatus) this.inc({ method, route, status }, count);
        }
      },
    });
  }

  #build(): void {
    const build = new Gauge({
      name: 'lading_build_info',
      help: 'Always 1; the labels say which version of Lading runs on which version of Node.',
      labelNames: ['version', 'node'],
      registers: [this.registry],
    });
    build.set({ version: version(), node: process.versions.node }, 1);
  }

  #total(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(Math.max(0, read()));
      },
    });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }
}
