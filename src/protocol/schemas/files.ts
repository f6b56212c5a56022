/**
 * Files and uploads on the wire. A schema is the only definition of a document, form or query: the TypeScript type, the validation of
 * requests, the serialization of replies and the OpenAPI document all come from it. The order of keys is the order on the wire
 * (PROTOCOL.md §3, §5, §7).
 */
import Type, { type Static } from 'typebox';
import { FileDelivery } from './delivery.ts';
import { Bytes, Extents, Hex32, Nullable, Text, Time, Words } from './parts.ts';

/** Most gaps that a status object or an error lists. */
export const MAX_MISSING = 1000;

export const UploadStatus = Words(['pending', 'partial', 'complete'], {
  description: 'pending: nothing is known of that name; partial: bytes are missing; complete: all bytes are there.',
});
export type UploadStatus = Static<typeof UploadStatus>;

const ChunkReceipt = Type.Object(
  {
    start: Bytes('Offset of the first byte of the chunk.'),
    end: Bytes('Offset of its last byte, inclusive.'),
    crc32: Hex32('CRC-32 of what is stored there, eight hexadecimal digits.'),
    duplicate: Type.Boolean({ description: 'True when all of it was stored before and nothing was written.' }),
  },
  { title: 'ChunkReceipt', description: 'What became of the chunk in this request.' },
);

export const FileStatus = Type.Object(
  {
    filename: Text('Name of the file.'),
    status: UploadStatus,
    bytes_received: Bytes('Bytes verified and stored.'),
    total_bytes: Nullable(Bytes('Declared size; undeclared: highest end seen + 1; null before the first chunk.')),
    next_expected_byte: Bytes('First gap counted from 0; the size when complete.'),
    id: Nullable(Text("The file's id.")),
    readable: Type.Boolean({
      description: 'A whole download works now; also while a replacement is under way, which the rest then describes.',
    }),
    missing: Extents({
      maxItems: MAX_MISSING,
      description: `Gaps below total_bytes as [start, end], both inclusive; ${MAX_MISSING} at most, 16 in the reply to a chunk.`,
    }),
    missing_more: Type.Boolean({ description: 'True when there are more gaps than missing lists.' }),
    chunk: Type.Optional(ChunkReceipt),
    crc32: Nullable(Hex32('CRC-32 of the whole file once complete, eight hexadecimal digits.')),
    etag: Nullable(Text('Entity tag that downloads carry once the file is readable.')),
    content_type: Nullable(Text('Media type that downloads carry.')),
    created_at: Nullable(Time('First chunk.')),
    updated_at: Nullable(Time('Last change.')),
    completed_at: Nullable(Time('When it became complete.')),
    expires_at: Nullable(
      Time(
        'Until when the unfinished upload is kept if nothing more comes; null of a complete file, or where nothing is removed.',
      ),
    ),
    damaged: Type.Optional(
      Type.Boolean({
        description:
          'True: the file was complete, and the server has lost the bytes in missing. Restore them there, or send the file again with overwrite=true.',
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
        description:
          'True: nobody has said the size of the unfinished upload yet; total_bytes is the highest end seen + 1.',
      }),
    ),
    deliveries: Type.Optional(Type.Array(FileDelivery, { description: 'Where a complete file is sent on to.' })),
  },
  { title: 'FileStatus', description: 'What is known of a file. The first five keys are always there.' },
);
export type FileStatus = Static<typeof FileStatus>;

export const FileList = Type.Object(
  {
    files: Type.Array(FileStatus),
    next_cursor: Nullable(Text('Send it as cursor for the next page; null on the last one.')),
  },
  { title: 'FileList', description: 'Files and unfinished uploads, sorted by name.' },
);
export type FileList = Static<typeof FileList>;

const Removed = Words(['file', 'upload']);
/** A complete file, or an unfinished upload. */
export type Removed = Static<typeof Removed>;

export const Deleted = Type.Object(
  {
    detail: Text('What was removed, in words.'),
    removed: Type.Array(Removed, { description: 'The same for programs: the complete file, the unfinished upload.' }),
  },
  { title: 'Deleted' },
);
export type Deleted = Static<typeof Deleted>;

// ---------------------------------------------------------------- queries

const Owner = Type.Optional(
  Text(
    'Whose file: the id of a client or a person. For administrators, and for reading what was granted; oneself by default.',
  ),
);

export const UploadQuery = Type.Object(
  {
    filename: Text('Name of the file: 1 to 1024 bytes of UTF-8; "/" separates segments.'),
    total_size: Type.Optional(Bytes('Size of the whole file. Fixed once known.')),
    overwrite: Type.Optional(
      Type.Boolean({ description: 'Replace a complete file; needs total_size. Readers get the old one until then.' }),
    ),
    content_type: Type.Optional(Text("What downloads send as Content-Type; by the name's extension by default.")),
  },
  { title: 'UploadQuery' },
);
export type UploadQuery = Static<typeof UploadQuery>;

export const DeleteQuery = Type.Object(
  {
    owner: Owner,
    upload: Type.Optional(
      Words(['only'], {
        description: 'Cancel the unfinished upload or replacement and keep the complete file; without it both go.',
      }),
    ),
    id: Type.Optional(Text('With upload=only: the upload of this id and no other of the name.')),
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
      Type.Boolean({ description: 'Send an unfinished file from byte 0 and wait for what is missing.' }),
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
        description: 'Files on a page at most; without it there is one page with all.',
      }),
    ),
    cursor: Type.Optional(Text('next_cursor of the page before.')),
    status: Type.Optional(UploadStatus),
    prefix: Type.Optional(Text('Only names that start with it.')),
    owner: Owner,
  },
  { title: 'ListQuery' },
);
export type ListQuery = Static<typeof ListQuery>;
