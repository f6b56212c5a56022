/** Cancelling an unfinished upload whoever began it, as somebody asks for who sees it in a list. */
import type { FileStatus } from '../client/client.ts';
import type { PageProps } from './page.ts';

/**
 * Cancels the unfinished upload of a name; a complete file of it stays. When this page sends it, that ends first: the next chunk would
 * begin the upload anew.
 * @param owner whose it is; by default of who is signed in
 */
export async function cancelUpload(
  { who, transfers: moves }: PageProps,
  { filename: name, id }: Pick<FileStatus, 'filename' | 'id'>,
  owner?: string,
): Promise<void> {
  if (owner === undefined || owner === who.subject) await moves.abandon(name);
  await who.client.cancel(name, { owner, id: id ?? undefined });
}
