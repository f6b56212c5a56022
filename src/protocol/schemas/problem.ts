/** Errors on the wire: problem details (RFC 9457). */
import Type, { type Static } from 'typebox';
import { CATALOGUE, type ErrorCode } from '../../errors.ts';
import { MAX_MISSING } from './files.ts';
import { Bytes, Extents, Text } from './parts.ts';

export const Problem = Type.Object(
  {
    type: Text('URI of the kind of problem.'),
    title: Text('Short description of the kind of problem.'),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status.' }),
    detail: Text('What happened and what to do next.'),
    code: Type.Unsafe<ErrorCode>({
      type: 'string',
      enum: Object.keys(CATALOGUE),
      description: 'Code of the kind of problem, for programs.',
    }),
    instance: Type.Optional(Text('Id of the request, as in the log.')),
    missing: Type.Optional(Extents({ description: 'Gaps as [start, end], both inclusive.' })),
    missing_more: Type.Optional(Type.Boolean({ description: `True when missing was cut at ${MAX_MISSING} gaps.` })),
    expected: Type.Optional(Type.Unsafe<string | number>({ type: ['string', 'number'] })),
    actual: Type.Optional(Type.Unsafe<string | number>({ type: ['string', 'number'] })),
    retry_after: Type.Optional(Type.Number({ minimum: 0, description: 'Seconds to wait; the same as Retry-After.' })),
    'violated-policies': Type.Optional(
      Type.Array(Type.String(), { description: 'The rate limits that were exceeded, as RateLimit-Policy names them.' }),
    ),
    scope: Type.Optional(Text('The scope that is missing.')),
    error: Type.Optional(Text('The error in the fixed wording of /api/tokens and /calls.')),
    committed_chunks: Type.Optional(
      Type.Integer({ minimum: 0, description: 'In a train: how many chunks were stored. They are the first ones.' }),
    ),
    failed_chunk: Type.Optional(
      Type.Object(
        {
          position: Type.Integer({ minimum: 0, description: 'Its position in the train, counted from 0.' }),
          start: Type.Optional(Bytes('Offset of its first byte; absent if its header cannot be read.')),
          end: Type.Optional(Bytes('Offset of its last byte, inclusive.')),
        },
        { description: 'The chunk that ended the train.' },
      ),
    ),
    total_bytes: Type.Optional(Bytes('Size of the file whose range was requested.')),
  },
  { title: 'Problem', description: 'RFC 9457 problem details, application/problem+json.' },
);
export type Problem = Static<typeof Problem>;
