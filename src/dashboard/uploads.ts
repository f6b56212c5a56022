/** Cancels an upload from a list, whichever client started it. */
import type { FileStatus } from '../client/client.ts';
import type { PageProps } from './page.ts';

/**
 * Cancels the unfinished upload of a name and keeps a complete file. Stops the transfer of this page first, because its next chunk would
 * start a new upload.
 * @param owner owner of the upload; by default the principal
 */
export async function cancelUpload(
  { who, transfers: moves }: PageProps,
  { filename: name, id }: Pick<FileStatus, 'filename' | 'id'>,
  owner?: string,
): Promise<void> {
  if (owner === undefined || owner === who.subject) await moves.abandon(name);
  await who.client.cancel(name, { owner, id: id ?? undefined });
}
