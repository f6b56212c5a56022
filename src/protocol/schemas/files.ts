/**
 * Everything that travels as JSON, form or query, once: these schemas are the TypeScript types, validate requests, write replies
 * and make the OpenAPI document. Keys and their order are the wire's (PROTOCOL.md §3, §5, §7).
 */
import Type, { type Static, type TSchemaOptions } from 'typebox';
import { CATALOGUE, type ErrorCode } from '../../errors.ts';
import { MAX_OFFSET } from '../chunk.ts';
import { FileDelivery } from './delivery.ts';
import { Nullable, PlainTime, Text, Time, Words } from './parts.ts';

/** Gaps that a status object and a refusal list at most. */
export const MAX_MISSING = 1000;

/** A number of bytes or an offset. */
const Bytes = (description: string) => Type.Integer({ minimum: 0, maximum: MAX_OFFSET, description });
const Hex32 = (description: string) => Type.String({ pattern: '^[0-9a-f]{8}$', description });

/** Inclusive pairs. Neither `prefixItems` nor a list of `items`: every draft of JSON Schema reads this form. */
const Extents = (options: TSchemaOptions) =>
  Type.Unsafe<[number, number][]>({
    type: 'array',
    items: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 2, maxItems: 2 },
    ...options,
  });

// ---------------------------------------------------------------- files

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

/** Of status, complete and verify. */
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

// ---------------------------------------------------------------- errors

export const Problem = Type.Object(
  {
    type: Text('URI of the kind of problem.'),
    title: Text('The kind of problem in words.'),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status.' }),
    detail: Text('What happened and what to do next.'),
    code: Type.Unsafe<ErrorCode>({
      type: 'string',
      enum: Object.keys(CATALOGUE),
      description: 'The kind of problem for programs.',
    }),
    instance: Type.Optional(Text('Id of the request, to be found in the log.')),
    missing: Type.Optional(Extents({ description: 'Gaps as [start, end], both inclusive.' })),
    missing_more: Type.Optional(Type.Boolean({ description: `True when missing was cut at ${MAX_MISSING} gaps.` })),
    expected: Type.Optional(Type.Unsafe<string | number>({ type: ['string', 'number'] })),
    actual: Type.Optional(Type.Unsafe<string | number>({ type: ['string', 'number'] })),
    retry_after: Type.Optional(Type.Number({ minimum: 0, description: 'Seconds to wait; as in Retry-After.' })),
    'violated-policies': Type.Optional(
      Type.Array(Type.String(), { description: 'The rate limits that were exceeded, as RateLimit-Policy names them.' }),
    ),
    scope: Type.Optional(Text('The scope that is missing.')),
    error: Type.Optional(Text('The same in the fixed words of /api/tokens.')),
    total_bytes: Type.Optional(Bytes('Size of the file whose range was asked for.')),
  },
  { title: 'Problem', description: 'RFC 9457 problem details, application/problem+json.' },
);
export type Problem = Static<typeof Problem>;

// ---------------------------------------------------------------- signing in

export const TokenRequest = Type.Object(
  {
    username: Text("The client's id."),
    password: Text("The client's secret."),
    grant_type: Type.Optional(Words(['password'])),
  },
  // RFC 6749 §3.2: unknown parameters are ignored.
  {
    title: 'TokenRequest',
    description: 'Sent as application/x-www-form-urlencoded or multipart/form-data.',
    additionalProperties: true,
  },
);
export type TokenRequest = Static<typeof TokenRequest>;

export const TokenReply = Type.Object(
  {
    access_token: Text('Send it as Authorization: Bearer <token>.'),
    token_type: Words(['bearer']),
    expires_in: Type.Integer({ minimum: 0, description: 'Seconds until the token expires.' }),
  },
  { title: 'TokenReply' },
);
export type TokenReply = Static<typeof TokenReply>;

// ---------------------------------------------------------------- clients

export const ROLES = ['admin', 'ops', 'client', 'root'] as const;
export const Role = Words(ROLES, {
  description:
    'client: its own files; ops: reads every file of its tenant; admin: manages its tenant; root: manages all tenants.',
});
export type Role = Static<typeof Role>;

export const TenantQuery = Type.Object(
  { tenant: Type.Optional(Type.String({ maxLength: 63, description: 'Another tenant; for root.' })) },
  { title: 'TenantQuery' },
);
export type TenantQuery = Static<typeof TenantQuery>;

export const Client = Type.Object(
  {
    client_id: Text("The client's id, its username at /auth/token."),
    role: Role,
    created_at: PlainTime('When it was enrolled.'),
    last_used: Nullable(PlainTime('When it last signed in.')),
    name: Nullable(Text('What the administrator called it.')),
    disabled: Type.Optional(Type.Boolean({ description: 'True: it may do nothing until it is enabled again.' })),
  },
  { title: 'Client' },
);
export type Client = Static<typeof Client>;

export const ClientList = Type.Object(
  { clients: Type.Array(Client), count: Type.Integer({ minimum: 0 }) },
  { title: 'ClientList' },
);
export type ClientList = Static<typeof ClientList>;

export const NewClient = Type.Object(
  {
    role: Role,
    name: Type.Optional(Type.String({ maxLength: 200, description: 'A name to tell it from others.' })),
  },
  { title: 'NewClient' },
);
export type NewClient = Static<typeof NewClient>;

export const ClientUpdate = Type.Object(
  {
    role: Type.Optional(Role),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    disabled: Type.Optional(
      Type.Boolean({ description: 'True: it may do nothing from now on, and all its sessions end; its files stay.' }),
    ),
    end_sessions: Type.Optional(Type.Boolean({ description: 'True: its tokens of before are refused.' })),
  },
  { title: 'ClientUpdate', description: 'What is absent stays.', additionalProperties: false },
);
export type ClientUpdate = Static<typeof ClientUpdate>;

export const ClientCreated = Type.Object(
  {
    message: Text('What was done.'),
    client_id: Text("The client's id."),
    client_secret: Text('Its secret, shown this once.'),
    role: Role,
  },
  { title: 'ClientCreated' },
);
export type ClientCreated = Static<typeof ClientCreated>;

// ---------------------------------------------------------------- tenants

export const Tenant = Type.Object(
  {
    tenant_id: Text("The tenant's id."),
    name: Text('What it is called.'),
    created_at: Time('When it was made.'),
  },
  { title: 'Tenant' },
);
export type Tenant = Static<typeof Tenant>;

export const TenantList = Type.Object({ tenants: Type.Array(Tenant) }, { title: 'TenantList' });
export type TenantList = Static<typeof TenantList>;

export const NewTenant = Type.Object(
  {
    tenant_id: Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      description: '1 to 63 small letters, digits and hyphens.',
    }),
    name: Type.Optional(Type.String({ maxLength: 200, description: 'What it is called; the id by default.' })),
  },
  { title: 'NewTenant' },
);
export type NewTenant = Static<typeof NewTenant>;

export const Message = Type.Object({ message: Text('What was done.') }, { title: 'Message' });
export type Message = Static<typeof Message>;

// ---------------------------------------------------------------- health

export const Health = Type.Object({ status: Words(['healthy']) }, { title: 'Health' });
export type Health = Static<typeof Health>;
