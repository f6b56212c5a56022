/** Running uploads and recent load of the server, on the wire. */
import Type, { type Static } from 'typebox';
import { FileStatus } from './files.ts';
import { Nullable, Text, Time } from './parts.ts';

const Count = (description: string) => Type.Integer({ minimum: 0, description });

export const Transfer = Type.Object(
  {
    owner: Text('Id of the client or person that owns the upload.'),
    tenant: Text('Id of the tenant.'),
    part: Type.Boolean({ description: 'True for a partial upload of tus, which has no name.' }),
    receiving: Type.Boolean({ description: 'True while a request sends bytes.' }),
    file: FileStatus,
  },
  { title: 'Transfer' },
);
export type Transfer = Static<typeof Transfer>;

export const TransferList = Type.Object(
  {
    transfers: Type.Array(Transfer, { description: 'Most recently changed first.' }),
    count: Count('Number of all uploads, also those that are not listed.'),
  },
  { title: 'TransferList' },
);
export type TransferList = Static<typeof TransferList>;

export const TransferQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, default: 200, description: 'Maximum number of uploads.' }),
  ),
});
export type TransferQuery = Static<typeof TransferQuery>;

/** Load of one interval. */
export const Sample = Type.Object({
  time: Time('When the interval ended.'),
  received: Count('Average bytes received per second.'),
  sent: Count('Average bytes sent per second.'),
  chunks: Count('Chunks acknowledged.'),
  chunk_ms: Nullable(Type.Number({ description: 'Average milliseconds per chunk; null without chunks.' })),
  requests: Count('Requests answered.'),
  refused: Count('Requests answered with a status of 400 or above.'),
});
export type Sample = Static<typeof Sample>;

export const History = Type.Object(
  { seconds: Count('Length of an interval.'), samples: Type.Array(Sample, { description: 'Oldest first.' }) },
  { title: 'History' },
);
export type History = Static<typeof History>;
