/**
 * The upload that goes on after any interruption: ask what is missing, send that, ask again. Several chunks are on their way at once;
 * one whose reply was lost is simply sent again, which is harmless (PROTOCOL §4). Nothing is remembered on this side between runs.
 */
import type { UploadCalls, UploadOptions, UploadResult, UploadSource } from './upload-options.ts';
import { UploadRun } from './upload-run.ts';

export type { RestartReason, UploadCalls, UploadOptions, UploadResult, UploadSource } from './upload-options.ts';

/** Throws `LadingError`, `NetworkError` (after `retryForMs` without progress), `SourceChangedError`, `VerificationError`. */
export async function upload(client: UploadCalls, source: UploadSource, options: UploadOptions): Promise<UploadResult> {
  return new UploadRun(client, source, options).run();
}
