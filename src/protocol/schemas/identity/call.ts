/** Calls with codes on the wire. */
import Type, { type Static } from 'typebox';
import { Nullable, Seconds, Text, Time, Words } from '../parts.ts';

const Phone = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 64,
    description: 'E.164, with the country code.',
    examples: ['+14155550123'],
  }),
);

/** Fields have two names each, for programs that know one of them. */
export const NewCall = Type.Object(
  {
    phone: Phone,
    phone_number: Phone,
    message: Type.Optional(
      Type.String({ minLength: 1, maxLength: 160, description: 'Said before the code.', examples: ['Your code is'] }),
    ),
  },
  { title: 'NewCall' },
);
export type NewCall = Static<typeof NewCall>;

const Code = Type.Optional(
  Type.Union([Type.String({ minLength: 1, maxLength: 16 }), Type.Integer({ minimum: 0, maximum: 999_999 })], {
    description: 'The six digits. Of a number the zeros in front may be missing.',
    examples: ['012345'],
  }),
);

export const CallCode = Type.Object(
  { phone: Phone, phone_number: Phone, code: Code, otp: Code },
  { title: 'CallCode' },
);
export type CallCode = Static<typeof CallCode>;

export const CallReplay = Type.Object({ phone: Phone, phone_number: Phone }, { title: 'CallReplay' });
export type CallReplay = Static<typeof CallReplay>;

export const CallRequested = Type.Object(
  {
    message: Text('What happens.'),
    session_id: Text('Of this code.'),
    expires_in: Seconds('How long the code is valid.'),
  },
  { title: 'CallRequested' },
);
export type CallRequested = Static<typeof CallRequested>;

export const CallVerified = Type.Object(
  {
    message: Text('What was done.'),
    verified: Type.Boolean(),
    user_id: Text('Who asks; of an API token with a label that.'),
    second_factor_until: Nullable(
      Type.String({ description: 'Until when it counts as a second factor for this credential; null: it does not.' }),
    ),
  },
  { title: 'CallVerified' },
);
export type CallVerified = Static<typeof CallVerified>;

export const CallStatus = Type.Object(
  {
    phone: Text('E.164.'),
    session_id: Text('Of the newest code for this number.'),
    status: Words(['pending', 'verified', 'failed', 'replaced', 'expired'], {
      description: 'failed: tried too often.',
    }),
    call: Words(['queued', 'calling', 'spoken', 'failed'], { description: 'How far the newest call of it is.' }),
    tries_left: Type.Integer({ minimum: 0 }),
    expires_in: Seconds('How long the code is still valid.'),
    created_at: Time('When it was asked for.'),
    expires_at: Time('Until when the code is valid.'),
    is_expired: Type.Boolean({ description: 'True once that has passed.' }),
    verified: Type.Boolean({ description: 'True for the status verified.' }),
    attempts: Type.Integer({ minimum: 0, description: 'How often it was tried.' }),
    phone_number: Text('The same as phone.'),
  },
  { title: 'CallStatus' },
);
export type CallStatus = Static<typeof CallStatus>;

export const RegisteredPhone = Type.Object(
  { phone: Nullable(Type.String({ maxLength: 64, description: 'E.164; null: none.' })) },
  { title: 'RegisteredPhone', additionalProperties: false },
);
export type RegisteredPhone = Static<typeof RegisteredPhone>;
