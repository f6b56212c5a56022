/** Quotas on the wire. */
import Type, { type Static } from 'typebox';
import { MAX_COUNT } from '../bounds.ts';

const Limit = (description: string) =>
  Type.Unsafe<number | null>({ type: ['integer', 'null'], minimum: 0, maximum: MAX_COUNT, description });
const Count = (description: string) => Type.Integer({ minimum: 0, description });

export const NewQuota = Type.Object(
  {
    bytes: Type.Optional(Limit("Bytes stored; 0: any, null: as the server's settings say.")),
    open_uploads: Type.Optional(Limit('Unfinished uploads.')),
    day_bytes: Type.Optional(Limit('Bytes uploaded between midnight and midnight UTC.')),
  },
  { title: 'NewQuota', additionalProperties: false },
);
export type NewQuota = Static<typeof NewQuota>;

export const QuotaReport = Type.Object(
  {
    limits: Type.Object({
      bytes: Limit('Bytes that may be stored; null: any.'),
      open_uploads: Limit('Unfinished uploads; null: any.'),
      day_bytes: Limit('Bytes that may be uploaded between midnight and midnight UTC; null: any.'),
    }),
    used: Type.Object({
      bytes: Count('Bytes stored, unfinished uploads included.'),
      open_uploads: Count('Unfinished uploads.'),
      day_bytes: Count('Bytes uploaded since midnight UTC.'),
    }),
  },
  { title: 'QuotaReport' },
);
export type QuotaReport = Static<typeof QuotaReport>;
