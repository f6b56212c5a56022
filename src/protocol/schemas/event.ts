/** Events on the wire: of GET /api/events and of webhooks. */
import Type, { type Static } from 'typebox';
import { Nullable, Text, Time, Words } from './parts.ts';

export const EVENT_TYPES = [
  'file.created',
  'chunk.received',
  'file.completed',
  'file.deleted',
  'upload.cancelled',
  'upload.stale',
  'upload.expired',
  'delivery.failed',
  'auth.refused',
  'admin.changed',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

const Count = (description: string) => Nullable(Type.Integer({ minimum: 0, description }));

export const LadingEvent = Type.Object(
  {
    id: Text('To be sent as Last-Event-ID; grows.'),
    type: Words(EVENT_TYPES, { description: 'What happened.' }),
    time: Time('When.'),
    tenant: Nullable(Type.String({ description: 'Whose; null: nobody knows.' })),
    owner: Nullable(Type.String({ description: 'Client or person whose file it is.' })),
    filename: Nullable(Type.String({ description: 'The file.' })),
    file_id: Nullable(Type.String({ description: 'Its id: another one after it was replaced.' })),
    bytes_received: Count('Bytes stored of it.'),
    total_bytes: Count('Its size; null: undeclared.'),
    content_type: Nullable(Type.String({ description: 'Its media type.' })),
    crc32: Nullable(Type.String({ description: 'Its CRC-32, once complete.' })),
    sha256: Nullable(
      Type.String({
        description:
          'SHA-256 of a complete file, in hexadecimal. Webhooks get it with file.completed; streams where the sender declared it.',
      }),
    ),
    metadata: Nullable(
      Type.Record(Type.String(), Type.String(), {
        description: 'What the sender said of the file (Upload-Metadata), as text; null: nothing.',
      }),
    ),
    chunks: Type.Optional(Type.Integer({ description: 'Of chunk.received: how many since the event before.' })),
    chunk_bytes: Type.Optional(Type.Integer({ description: 'Of chunk.received: their new bytes.' })),
    detail: Nullable(
      Type.String({
        description:
          'Of delivery.failed and auth.refused: what went wrong; of admin.changed: what was done; of upload.stale: until when the upload is kept.',
      }),
    ),
  },
  { title: 'Event' },
);
export type LadingEvent = Static<typeof LadingEvent>;

export const EventQuery = Type.Object({
  types: Type.Optional(
    Type.String({
      maxLength: 256,
      description: 'Only of these types, separated by commas.',
      examples: ['file.completed'],
    }),
  ),
  prefix: Type.Optional(Type.String({ maxLength: 1024, description: 'Only of files whose names begin so.' })),
});
export type EventQuery = Static<typeof EventQuery>;
