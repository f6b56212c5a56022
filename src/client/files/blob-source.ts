/** A `Blob` or `File` as the source of an upload. */
import type { UploadSource } from '../transfer/upload.ts';

/** Reads slices of the blob as needed. A read fails if the file changed since the user picked it. */
export function blobSource(blob: Blob): UploadSource {
  return {
    size: blob.size,
    read: async (start, end) => new Uint8Array(await blob.slice(start, end + 1).arrayBuffer()),
  };
}
