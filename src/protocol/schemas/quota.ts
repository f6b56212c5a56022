/** Quotas on the wire. */
import Type, { type Static } from 'typebox';
import { MAX_COUNT } from '../bounds.ts';

const Limit = (description: string) =>
  Type.Unsafe<number | null>({ type: ['integer', 'null'], minimum: 0, maximum: MAX_COUNT, description });
const Count = (description: string) => Type.Integer({ minimum: 0, description });

export const NewQuota = Type.Object(
  {
    bytes: Type.Optional(Limit('Limit of stored bytes. 0: unlimited; null: the default of the server.')),
    open_uploads: Type.Optional(Limit('Limit of unfinished uploads.')),
    day_bytes: Type.Optional(Limit('Limit of bytes uploaded per day (UTC).')),
  },
  { title: 'NewQuota', additionalProperties: false },
);
export type NewQuota = Static<typeof NewQuota>;

export const QuotaReport = Type.Object(
  {
    limits: Type.Object({
      bytes: Limit('Limit of stored bytes; null: unlimited.'),
      open_uploads: Limit('Limit of unfinished uploads; null: unlimited.'),
      day_bytes: Limit('Limit of bytes uploaded per day (UTC); null: unlimited.'),
    }),
    used: Type.Object({
      bytes: Count('Bytes stored, including unfinished uploads.'),
      open_uploads: Count('Unfinished uploads.'),
      day_bytes: Count('Bytes uploaded since midnight UTC.'),
    }),
  },
  { title: 'QuotaReport' },
);
export type QuotaReport = Static<typeof QuotaReport>;
