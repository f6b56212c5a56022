/** Uploads on their way, and how the server did lately, on the wire. */
import Type, { type Static } from 'typebox';
import { FileStatus } from './files.ts';
import { Nullable, Text, Time } from './parts.ts';

const Count = (description: string) => Type.Integer({ minimum: 0, description });

export const Transfer = Type.Object(
  {
    owner: Text('Client or person whose upload it is.'),
    tenant: Text('Its tenant.'),
    part: Type.Boolean({ description: 'A piece of a file to come (tus); it has no name of its own.' }),
    receiving: Type.Boolean({ description: 'A request brings bytes right now.' }),
    file: FileStatus,
  },
  { title: 'Transfer' },
);
export type Transfer = Static<typeof Transfer>;

export const TransferList = Type.Object(
  {
    transfers: Type.Array(Transfer, { description: 'Those that changed last first.' }),
    count: Count('All of them, also those that found no room in the list.'),
  },
  { title: 'TransferList' },
);
export type TransferList = Static<typeof TransferList>;

export const TransferQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, default: 200, description: 'At most so many of them.' }),
  ),
});
export type TransferQuery = Static<typeof TransferQuery>;

/** One stretch of time. */
export const Sample = Type.Object({
  time: Time('When it ended.'),
  received: Count('Bytes received in a second, on average.'),
  sent: Count('Bytes sent in a second, on average.'),
  chunks: Count('Chunks acknowledged.'),
  chunk_ms: Nullable(Type.Number({ description: 'Milliseconds that a chunk took on average; null: there was none.' })),
  requests: Count('Requests answered.'),
  refused: Count('…with a status of 400 or above.'),
});
export type Sample = Static<typeof Sample>;

export const History = Type.Object(
  { seconds: Count('Length of a sample.'), samples: Type.Array(Sample, { description: 'The oldest first.' }) },
  { title: 'History' },
);
export type History = Static<typeof History>;
