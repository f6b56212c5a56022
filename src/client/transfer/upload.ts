/**
 * An upload that resumes after any interruption: it asks which bytes are missing, sends them, and repeats. Several chunks are in flight
 * at a time. A chunk whose reply was lost is sent again, which is harmless (PROTOCOL §4). The client stores nothing between runs.
 */
import type { UploadCalls, UploadOptions, UploadResult, UploadSource } from './upload-options.ts';
import { UploadRun } from './upload-run.ts';

export type { RestartReason, UploadCalls, UploadOptions, UploadResult, UploadSource } from './upload-options.ts';

/** Uploads a file. Throws `LadingError`, `NetworkError` (after `retryForMs` without progress), `SourceChangedError`, `VerificationError`. */
export async function upload(client: UploadCalls, source: UploadSource, options: UploadOptions): Promise<UploadResult> {
  return new UploadRun(client, source, options).run();
}
