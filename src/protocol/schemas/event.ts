/** Events on the wire: GET /api/events and webhooks. */
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
    id: Text('Id of the event, for Last-Event-ID. Ids increase.'),
    type: Words(EVENT_TYPES, { description: 'Type of the event.' }),
    time: Time('When it happened.'),
    tenant: Nullable(Type.String({ description: 'Id of the tenant; null if unknown.' })),
    owner: Nullable(Type.String({ description: 'Id of the client or person that owns the file.' })),
    filename: Nullable(Type.String({ description: 'Name of the file.' })),
    file_id: Nullable(Type.String({ description: 'Id of the file; it changes when the file is replaced.' })),
    bytes_received: Count('Bytes stored.'),
    total_bytes: Count('Size of the file; null if undeclared.'),
    content_type: Nullable(Type.String({ description: 'Media type of the file.' })),
    crc32: Nullable(Type.String({ description: 'CRC-32 of the file, once complete.' })),
    sha256: Nullable(
      Type.String({
        description:
          'SHA-256 of a complete file, in hexadecimal. Webhooks receive it with file.completed; streams only if the sender declared it.',
      }),
    ),
    metadata: Nullable(
      Type.Record(Type.String(), Type.String(), {
        description: 'Metadata from the sender (Upload-Metadata), as text; null if it sent none.',
      }),
    ),
    chunks: Type.Optional(Type.Integer({ description: 'chunk.received: number of chunks since the previous event.' })),
    chunk_bytes: Type.Optional(Type.Integer({ description: 'chunk.received: new bytes of these chunks.' })),
    detail: Nullable(
      Type.String({
        description:
          'delivery.failed and auth.refused: the error; admin.changed: the change; upload.stale: when the upload expires.',
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
      description: 'Only events of these types, separated by commas.',
      examples: ['file.completed'],
    }),
  ),
  prefix: Type.Optional(
    Type.String({ maxLength: 1024, description: 'Only events of files whose names start with this prefix.' }),
  ),
});
export type EventQuery = Static<typeof EventQuery>;
