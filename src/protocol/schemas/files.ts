/**
 * Files and uploads on the wire. A schema is the only definition of a document, form or query: the TypeScript type, the validation of
 * requests, the serialization of replies and the OpenAPI document are derived from it. The order of keys is the order on the wire
 * (PROTOCOL.md §3, §5, §7).
 */
import Type, { type Static } from 'typebox';
import { FileDelivery } from './delivery.ts';
import { Bytes, Extents, Hex32, Nullable, Text, Time, Words } from './parts.ts';

/** Maximum number of gaps in a status object or an error. */
export const MAX_MISSING = 1000;

export const UploadStatus = Words(['pending', 'partial', 'complete'], {
  description: 'pending: no upload of that name; partial: bytes are missing; complete: all bytes are stored.',
});
export type UploadStatus = Static<typeof UploadStatus>;

const ChunkReceipt = Type.Object(
  {
    start: Bytes('Offset of the first byte of the chunk.'),
    end: Bytes('Offset of its last byte, inclusive.'),
    crc32: Hex32('CRC-32 of the stored bytes, eight hexadecimal digits.'),
    duplicate: Type.Boolean({ description: 'True when all bytes were stored before and nothing was written.' }),
  },
  { title: 'ChunkReceipt', description: 'Result of the chunk in this request.' },
);

export const FileStatus = Type.Object(
  {
    filename: Text('Name of the file.'),
    status: UploadStatus,
    bytes_received: Bytes('Bytes verified and stored.'),
    total_bytes: Nullable(
      Bytes('Declared size, or highest end received + 1 if undeclared; null before the first chunk.'),
    ),
    next_expected_byte: Bytes('Offset of the first missing byte; the size when complete.'),
    id: Nullable(Text("The file's id.")),
    readable: Type.Boolean({
      description:
        'The whole file can be downloaded now. Also true during a replacement, which the other keys then describe.',
    }),
    missing: Extents({
      maxItems: MAX_MISSING,
      description: `Gaps below total_bytes as [start, end], both inclusive; ${MAX_MISSING} at most, 16 in the reply to a chunk or train.`,
    }),
    missing_more: Type.Boolean({ description: 'True when there are more gaps than listed in missing.' }),
    chunk: Type.Optional(ChunkReceipt),
    committed_chunks: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Only in the reply to a train: how many chunks it had. All of them are stored.',
      }),
    ),
    crc32: Nullable(Hex32('CRC-32 of the whole file once complete, eight hexadecimal digits.')),
    etag: Nullable(Text('Entity tag that downloads carry once the file is readable.')),
    content_type: Nullable(Text('Media type that downloads carry.')),
    created_at: Nullable(Time('When the first chunk arrived.')),
    updated_at: Nullable(Time('When it last changed.')),
    completed_at: Nullable(Time('When it became complete.')),
    expires_at: Nullable(
      Time('When the upload expires if nothing more arrives; null for a complete file, or if uploads do not expire.'),
    ),
    damaged: Type.Optional(
      Type.Boolean({
        description:
          'True: the file was complete, and the server has lost the bytes in missing. Restore them on the disk, or send the file again with overwrite=true.',
      }),
    ),
    stale: Type.Optional(
      Type.Boolean({
        description:
          'True: the upload is parked, because nothing has arrived for a long time; it continues with the next byte.',
      }),
    ),
    undeclared: Type.Optional(
      Type.Boolean({
        description: 'True: the size of the upload is not declared yet; total_bytes is the highest end received + 1.',
      }),
    ),
    deliveries: Type.Optional(Type.Array(FileDelivery, { description: 'Deliveries of the complete file.' })),
  },
  { title: 'FileStatus', description: 'Status of a file. The first five keys are always present.' },
);
export type FileStatus = Static<typeof FileStatus>;

export const FileList = Type.Object(
  {
    files: Type.Array(FileStatus),
    next_cursor: Nullable(Text('Send it as cursor for the next page; null on the last page.')),
  },
  { title: 'FileList', description: 'Files and unfinished uploads, sorted by name.' },
);
export type FileList = Static<typeof FileList>;

const Removed = Words(['file', 'upload']);
/** A complete file, or an unfinished upload. */
export type Removed = Static<typeof Removed>;

export const Deleted = Type.Object(
  {
    detail: Text('What was removed, for people.'),
    removed: Type.Array(Removed, { description: 'The same for programs: the complete file, the unfinished upload.' }),
  },
  { title: 'Deleted' },
);
export type Deleted = Static<typeof Deleted>;

// ---------------------------------------------------------------- queries

const Owner = Type.Optional(
  Text(
    'Id of the client or person that owns the file; yourself by default. For administrators, and for reading granted files.',
  ),
);

export const UploadQuery = Type.Object(
  {
    filename: Text('Name of the file: 1 to 1024 bytes of UTF-8; "/" separates segments.'),
    total_size: Type.Optional(Bytes('Size of the whole file. It cannot change once declared.')),
    overwrite: Type.Optional(
      Type.Boolean({
        description:
          'Replace a complete file; requires total_size. Downloads get the old file until the new one is complete.',
      }),
    ),
    content_type: Type.Optional(Text("Content-Type of downloads; derived from the name's extension by default.")),
  },
  { title: 'UploadQuery' },
);
export type UploadQuery = Static<typeof UploadQuery>;

export const DeleteQuery = Type.Object(
  {
    owner: Owner,
    upload: Type.Optional(
      Words(['only'], {
        description:
          'Cancel the unfinished upload or replacement and keep the complete file; by default both are removed.',
      }),
    ),
    id: Type.Optional(Text('With upload=only: cancel only if the upload has this id.')),
  },
  { title: 'DeleteQuery' },
);
export type DeleteQuery = Static<typeof DeleteQuery>;

/** Query of the routes status, complete and verify. */
export const OwnerQuery = Type.Object({ owner: Owner }, { title: 'OwnerQuery' });
export type OwnerQuery = Static<typeof OwnerQuery>;

export const DownloadQuery = Type.Object(
  {
    owner: Owner,
    follow: Type.Optional(
      Type.Boolean({ description: 'Send an unfinished file from byte 0 and wait for missing bytes.' }),
    ),
  },
  { title: 'DownloadQuery' },
);
export type DownloadQuery = Static<typeof DownloadQuery>;

export const ListQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description: 'Maximum number of files per page; all files by default.',
      }),
    ),
    cursor: Type.Optional(Text('next_cursor of the previous page.')),
    status: Type.Optional(UploadStatus),
    prefix: Type.Optional(Text('Only names that start with this prefix.')),
    owner: Owner,
  },
  { title: 'ListQuery' },
);
export type ListQuery = Static<typeof ListQuery>;
