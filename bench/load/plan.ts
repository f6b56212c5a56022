/** What the load generator is asked to do: plain data, so that it travels to the generator's own process. */

/** Which chunk comes when. Positions are counted in chunks of `bytes`. */
export type Order =
  /** `count` positions from `first` on; after `slots - 1` comes 0 again (a download reads its file more than once). */
  | { kind: 'sequential'; first: number; count: number; slots: number }
  /** 0..slots-1 in an order fixed by `seed`; of these the `count` that come after the first `first`. */
  | { kind: 'shuffled'; first: number; count: number; slots: number; seed: number };

export type Frame = 'none' | 'at-position' | 'at-zero';

/** Requests that one connection sends one after the other. */
export interface Series {
  /**
   * Request line and header fields without the final empty line. `{start}` and `{end}` stand for the chunk's inclusive byte
   * offsets and `{index}` for its position; each of them may appear once or not at all.
   */
  head: string;
  /** Bytes of payload in each request; for a download the bytes asked for. */
  bytes: number;
  /** Lading's 17-byte header, with a valid checksum, before the payload: for the chunk's position, or always from offset 0. */
  frame: Frame;
  order: Order;
  /** The only status that counts as a success. */
  expect: number;
}

export interface Plan {
  port: number;
  /** One keep-alive connection each. */
  connections: Series[];
  /** `upload`: payload goes out, replies are short. `download`: the head goes out and `bytes` must come back. */
  direction: 'upload' | 'download';
  /** True keeps the time of every request. */
  latencies: boolean;
  /** The whole plan fails when it takes longer. */
  limitSeconds: number;
}

export interface LoadResult {
  /** From the first byte written to the last reply. */
  seconds: number;
  /** Payload bytes in requests that succeeded (frames and heads not counted). */
  bytes: number;
  requests: number;
  /** Processor time of the generator itself meanwhile, all threads. */
  cpuSeconds: number;
  /** Milliseconds of each request in the order sent, connection after connection; empty unless asked for. */
  latencies: Float64Array;
}

/** Devices that leave their chunk open and send hardly anything. */
export interface SlowPlan {
  port: number;
  count: number;
  /** As in a series; `{index}` is the number of the device. */
  head: string;
  /** Size of the chunk that is announced and never finished. */
  bytes: number;
  /** Data bytes each sends at once after the header. */
  burst: number;
  /** Data bytes a second afterwards. */
  bytesPerSecond: number;
  /** Devices beyond this number share files, each with a chunk of its own. Every device has one of its own unless it is given. */
  files?: number;
}

export interface SlowState {
  connected: number;
  /** Devices whose connection ended or that got any reply. */
  lost: number;
  /** The first reply that a lost one got, for the report. */
  firstReply: string;
}
