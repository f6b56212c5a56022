/** Plans for the load generator: plain data, because they are sent to its process. */

/** The order of chunks. Positions are in chunks of `bytes`. */
export type Order =
  /** `count` positions from `first` on, modulo `slots` (a download reads its file more than once). */
  | { kind: 'sequential'; first: number; count: number; slots: number }
  /** The positions 0..slots-1 in an order that `seed` determines, of which `count` are used after the first `first`. */
  | { kind: 'shuffled'; first: number; count: number; slots: number; seed: number };

/** Whether a chunk header precedes the payload, and for which position. */
export type Frame = 'none' | 'at-position' | 'at-zero';

/** Requests that one connection sends one after another. */
export interface Series {
  /**
   * Request line and header fields without the final empty line. `{start}` and `{end}` stand for the chunk's inclusive byte
   * offsets and `{index}` for its position; each of them may appear once or not at all.
   */
  head: string;
  /** Payload bytes of each request; for a download, the requested bytes. */
  bytes: number;
  /** Lading's 17-byte header, with a valid checksum, before the payload: for the chunk's position, or always from offset 0. */
  frame: Frame;
  order: Order;
  /** The only status that counts as a success. */
  expect: number;
}

/** The requests of one run. */
export interface Plan {
  port: number;
  /** One keep-alive connection each. */
  connections: Series[];
  /** `upload`: sends the payload, replies are short. `download`: sends the head and expects `bytes` in the reply. */
  direction: 'upload' | 'download';
  /** Record the time of every request. */
  latencies: boolean;
  /** Time limit for the whole plan. */
  limitSeconds: number;
}

/** The measurements of one run. */
export interface LoadResult {
  /** From the first byte written to the last reply. */
  seconds: number;
  /** Payload bytes of successful requests, without headers. */
  bytes: number;
  requests: number;
  /** Processor time of the generator itself, with all threads. */
  cpuSeconds: number;
  /** Milliseconds of each request, in order, connection after connection; empty unless recorded. */
  latencies: Float64Array;
}

/** Devices that leave their chunk open and send very slowly. */
export interface SlowPlan {
  port: number;
  count: number;
  /** As in a series; `{index}` is the number of the device. */
  head: string;
  /** Size of the chunk, which is never finished. */
  bytes: number;
  /** Data bytes that each device sends right after the header. */
  burst: number;
  /** Data bytes per second afterwards. */
  bytesPerSecond: number;
  /** Number of files. Devices beyond it share files, each with its own chunk. By default, every device has its own file. */
  files?: number;
}

/** The current state of the slow devices. */
export interface SlowState {
  connected: number;
  /** Devices whose connection ended or that received an early reply. */
  lost: number;
  /** The first such reply, for the report. */
  firstReply: string;
}
