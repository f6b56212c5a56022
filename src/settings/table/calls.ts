/** Codes that are spoken into a telephone. */
import { setting } from '../setting.ts';

export const CALLS = [
  setting(
    'voice',
    'voice',
    'off',
    'Who speaks codes into telephones: off, console (development: the terminal shows them), http (a voice provider), sip (baresip)',
  ),
  setting('voiceUrl', 'origin', 'https://api.twilio.com', 'The voice provider; its interface is that of Twilio'),
  setting('voiceAccount', 'name', null, 'Account there'),
  setting('voiceToken', 'secret', null, 'Its token, which also signs what the provider tells of calls'),
  setting('voiceFrom', 'name', null, 'Number that calls come from'),
  setting('sipAddress', 'sip', null, 'Address at the SIP server that places calls, as sip:lading@pbx.example.org'),
  setting('sipPassword', 'secret', null, 'Its password'),
  setting('otpPhoneHour', 'int', '5', 'Calls to one number an hour; 0: any', { min: 0, max: 1000000 }),
  setting('otpCallerHour', 'int', '60', 'Calls that one client or person may ask for an hour; 0: any', {
    min: 0,
    max: 1000000,
  }),
  setting('otpDay', 'int', '1000', 'Calls of the whole server a day; 0: any', { min: 0, max: 1000000 }),
  setting(
    'requireOtp',
    'guarded',
    'none',
    'What a verified call is asked for: none, or downloads, share or both, separated by a comma',
  ),
  setting(
    'otpHours',
    'int',
    '12',
    'How long a verified call counts, for the sign-in or API token that it was verified with',
    { min: 1, max: 8784 },
  ),
] as const;
