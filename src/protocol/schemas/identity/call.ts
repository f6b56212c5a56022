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

/** Each field has two names, because older programs use different ones. */
export const NewCall = Type.Object(
  {
    phone: Phone,
    phone_number: Phone,
    message: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 160,
        description: 'Text spoken before the code.',
        examples: ['Your code is'],
      }),
    ),
  },
  { title: 'NewCall' },
);
export type NewCall = Static<typeof NewCall>;

const Code = Type.Optional(
  Type.Union([Type.String({ minLength: 1, maxLength: 16 }), Type.Integer({ minimum: 0, maximum: 999_999 })], {
    description: 'The six digits. As a number, leading zeros may be missing.',
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
    message: Text('Message for people.'),
    session_id: Text('Id of this code.'),
    expires_in: Seconds('Seconds until the code expires.'),
  },
  { title: 'CallRequested' },
);
export type CallRequested = Static<typeof CallRequested>;

export const CallVerified = Type.Object(
  {
    message: Text('What was done.'),
    verified: Type.Boolean(),
    user_id: Text('Id of the principal, or the label of the API token.'),
    second_factor_until: Nullable(
      Type.String({
        description: 'When the second factor of this credential expires; null if the call is not a second factor.',
      }),
    ),
  },
  { title: 'CallVerified' },
);
export type CallVerified = Static<typeof CallVerified>;

export const CallStatus = Type.Object(
  {
    phone: Text('E.164.'),
    session_id: Text('Id of the newest code for this number.'),
    status: Words(['pending', 'verified', 'failed', 'replaced', 'expired'], {
      description: 'failed: too many wrong codes.',
    }),
    call: Words(['queued', 'calling', 'spoken', 'failed'], { description: 'State of its newest call.' }),
    tries_left: Type.Integer({ minimum: 0 }),
    expires_in: Seconds('Seconds until the code expires.'),
    created_at: Time('When it was requested.'),
    expires_at: Time('When the code expires.'),
    is_expired: Type.Boolean({ description: 'True once it has expired.' }),
    verified: Type.Boolean({ description: 'True for the status verified.' }),
    attempts: Type.Integer({ minimum: 0, description: 'Number of attempts.' }),
    phone_number: Text('The same as phone.'),
  },
  { title: 'CallStatus' },
);
export type CallStatus = Static<typeof CallStatus>;

export const RegisteredPhone = Type.Object(
  { phone: Nullable(Type.String({ maxLength: 64, description: 'E.164; null for no phone.' })) },
  { title: 'RegisteredPhone', additionalProperties: false },
);
export type RegisteredPhone = Static<typeof RegisteredPhone>;
