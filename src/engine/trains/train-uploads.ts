/** Receives trains of chunks (PROTOCOL §8). Sets up and tears down one `Train` per request, which reads the chunks. */
import type { Readable } from 'node:stream';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { RequestBody } from '../body/request-body.ts';
import { ChunkTargets } from '../receive/chunk-target.ts';
import { Train, type TrainIntent, type TrainUploadsDeps } from './train.ts';
import type { CommittedGroup } from './train-group.ts';
import { TrainWriter } from './train-writer.ts';

export class TrainUploads {
  readonly #deps: TrainUploadsDeps;
  readonly #targets: ChunkTargets;

  constructor(deps: TrainUploadsDeps) {
    this.#deps = deps;
    this.#targets = new ChunkTargets(deps);
  }

  /** Checks the request headers before the body is read; see `ChunkTargets.admit`. */
  admit(intent: TrainIntent): Promise<void> {
    return this.#targets.admit(intent);
  }

  /**
   * Reads the train from `source` to its end and resolves with the file's status once all of its chunks are committed.
   * @param onGroup called after each commit
   * @throws LadingError with `committed_chunks`, and `failed_chunk` if a chunk caused the error
   */
  async receive(
    source: Readable,
    intent: TrainIntent,
    onGroup: (group: CommittedGroup) => void = () => {},
  ): Promise<FileStatus> {
    const { isAuthorized } = intent;
    // Chunks that arrived completely before the connection broke are kept.
    const body = new RequestBody(this.#deps, source, { isAuthorized, keepsPartial: true });
    const writer = new TrainWriter({ buffers: this.#deps.buffers, body, isAuthorized, onGroup });
    const train = new Train({ ...this.#deps, targets: this.#targets }, { ...intent }, body, writer);
    try {
      return await train.run();
    } finally {
      body.close();
    }
  }
}
