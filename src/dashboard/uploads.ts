/** Cancels an upload from a list, no matter which client started it. */
import type { FileStatus } from '../client/client.ts';
import type { PageProps } from './page.ts';

/**
 * Cancels the unfinished upload of a name and keeps a complete file. Stops the transfer of this page first, because its next chunk would
 * start a new upload.
 * @param owner owner of the upload; by default the principal
 */
export async function cancelUpload(
  { session, transfers }: PageProps,
  { filename: name, id }: Pick<FileStatus, 'filename' | 'id'>,
  owner?: string,
): Promise<void> {
  if (owner === undefined || owner === session.subject) await transfers.abandon(name);
  await session.client.cancel(name, { owner, id: id ?? undefined });
}
