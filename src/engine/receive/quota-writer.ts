/** Writes the segments of a body of unknown length. Reserves quota for each segment, because the total is not known in advance. */
import type { Part, SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import { fileTooLarge } from '../files/refusals.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { Usage } from '../uploads/usage.ts';

export interface QuotaWriterDeps {
  usage: Usage;
  /** With durability `chunk`, the sync of a segment starts while more bytes arrive. */
  syncEarly: boolean;
}

/** In bytes. */
interface QuotaWriterOptions {
  /** A larger file is refused. */
  maxFileBytes: number;
  /** Segments up to this size start no sync of their own. */
  minSyncBytes: number;
}

export class QuotaWriter {
  readonly #deps: QuotaWriterDeps;
  readonly #upload: OpenUpload;
  readonly #part: Part;
  readonly #options: QuotaWriterOptions;
  readonly #reservations: (() => void)[] = [];

  constructor(deps: QuotaWriterDeps, upload: OpenUpload, part: Part, options: QuotaWriterOptions) {
    this.#deps = deps;
    this.#upload = upload;
    this.#part = part;
    this.#options = options;
  }

  /** @throws LadingError `file_too_large`, `quota_exceeded`, `insufficient_storage` */
  write = async (job: SegmentJob): Promise<SegmentResult> => {
    const { usage, syncEarly } = this.#deps;
    const { maxFileBytes, minSyncBytes } = this.#options;
    const size = job.start + job.length;
    if (size > maxFileBytes) throw fileTooLarge(size, maxFileBytes);
    this.#reservations.push(usage.reserve(this.#upload, job.ranges, null));
    const result = await this.#upload.write(this.#part, job);
    // An early sync shortens the commit. Its failure is ignored, because the commit syncs again and reports the failure.
    if (syncEarly && job.length > minSyncBytes) this.#part.sync().catch(() => {});
    return result;
  };

  /** Releases the reserved quota. To be called when the bytes were refused, or when they were committed and are counted as stored. */
  releaseQuota(): void {
    for (const release of this.#reservations.splice(0)) release();
  }
}
