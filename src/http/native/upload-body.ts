/** Selects the route of POST /api/files/upload by the media type of the request: one chunk, a form, or a train of chunks. */
import { isMediaType } from '../../protocol/http/media-types.ts';
import { TRAIN_CRC32_TYPE, TRAIN_TYPE } from '../../protocol/train.ts';

/** Separates the routes while routing, so that single chunks, by far the most frequent, have no overhead for the others. */
export const uploadBodyConstraint = {
  name: 'uploadBody',
  storage: () => {
    // The router keeps its handlers here; this code does not read them.
    const stored = new Map<unknown, never>();
    return {
      get: (key: unknown) => stored.get(key) ?? null,
      set: (key: unknown, value: unknown) => void stored.set(key, value as never),
    };
  },
  deriveConstraint: ({ headers }: { headers: Record<string, string | string[] | undefined> }) => {
    const type = headers['content-type'];
    if (typeof type !== 'string') return 'chunk';
    if (isMediaType(type, 'multipart/form-data')) return 'form';
    return isMediaType(type, TRAIN_TYPE) || isMediaType(type, TRAIN_CRC32_TYPE) ? 'train' : 'chunk';
  },
};
