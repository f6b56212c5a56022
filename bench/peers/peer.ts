import type { Frame, Plan } from '../load/plan.ts';

/** Chunks to send: `chunksEach` of `bytes` over each of `connections`. */
export interface UploadWork {
  bytes: number;
  connections: number;
  chunksEach: number;
  /** `files`: one file per connection. `ranges`: one file, of which each connection sends a contiguous part. */
  layout: 'files' | 'ranges';
}

/** Requests to make: `requestsEach` over each of `connections`, every one for `bytes` of a file of `fileBytes`. */
export interface DownloadWork {
  bytes: number;
  fileBytes: number;
  connections: number;
  requestsEach: number;
}

/** A prepared run. Preparation and clean-up are not measured. */
export interface Job {
  plan: Plan;
  clean(): Promise<void>;
}

/** A running server under measurement. */
export interface Peer {
  readonly name: string;
  /** Processes whose memory and processor time are measured. */
  pids(): number[];
  upload(work: UploadWork): Promise<Job>;
  stop(): Promise<void>;
}

/** A peer that also serves files. */
export interface FilePeer extends Peer {
  /** Stores a file of this size for `download`. */
  store(fileBytes: number): Promise<void>;
  download(work: DownloadWork): Promise<Job>;
}

/** Time limit of a run. */
export const RUN_LIMIT_SECONDS = 90;

/** The common parts of a download plan. `head` is the request without the Range field. */
export function downloadPlan(port: number, head: string, work: DownloadWork): Plan {
  const whole = work.bytes === work.fileBytes;
  const slots = Math.max(1, Math.floor(work.fileBytes / work.bytes));
  return {
    port,
    direction: 'download',
    latencies: false,
    limitSeconds: RUN_LIMIT_SECONDS,
    connections: Array.from({ length: work.connections }, (_, i) => ({
      head: whole ? head : `${head}\r\nRange: bytes={start}-{end}`,
      bytes: work.bytes,
      frame: 'none' as const,
      expect: whole ? 200 : 206,
      // Each connection starts at a different position, as devices would.
      order: {
        kind: 'sequential' as const,
        first: Math.floor((i * slots) / work.connections),
        count: work.requestsEach,
        slots,
      },
    })),
  };
}

/** The common parts of an upload plan. */
export function uploadPlan(
  port: number,
  work: UploadWork,
  series: (connection: number) => { head: string; frame: Frame; expect: number },
): Plan {
  return {
    port,
    direction: 'upload',
    latencies: false,
    limitSeconds: RUN_LIMIT_SECONDS,
    connections: Array.from({ length: work.connections }, (_, connection) => {
      const first = work.layout === 'ranges' ? connection * work.chunksEach : 0;
      const order = {
        kind: 'sequential' as const,
        first,
        count: work.chunksEach,
        slots: first + work.chunksEach,
      };
      return { ...series(connection), bytes: work.bytes, order };
    }),
  };
}
