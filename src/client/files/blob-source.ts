/** A `Blob` or `File` as the source of an upload. */
import type { UploadSource } from '../transfer/upload.ts';

/** Reads slices of the blob as they are needed. A file that was changed since it was picked makes a read fail. */
export function blobSource(blob: Blob): UploadSource {
  return {
    size: blob.size,
    read: async (start, end) => new Uint8Array(await blob.slice(start, end + 1).arrayBuffer()),
  };
}
