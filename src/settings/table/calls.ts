/** Telephone calls that speak codes. */
import { setting } from '../setting.ts';

export const CALLS = [
  setting(
    'voice',
    'voice',
    'off',
    'How codes are spoken: off, console (for development: the terminal shows them), http (a voice provider), sip (baresip)',
  ),
  setting(
    'voiceUrl',
    'origin',
    'https://api.twilio.com',
    'Address of the voice provider, whose API must be that of Twilio',
  ),
  setting('voiceAccount', 'name', null, 'Account at the voice provider'),
  setting('voiceToken', 'secret', null, 'Token of the account; it also signs the reports of the provider'),
  setting('voiceFrom', 'name', null, 'Phone number that calls come from'),
  setting('sipAddress', 'sip', null, 'Address at the SIP server that places calls, such as sip:lading@pbx.example.org'),
  setting('sipPassword', 'secret', null, 'Password of that address'),
  setting('otpPhoneHour', 'int', '5', 'Calls to one number per hour; 0: unlimited', { min: 0, max: 1000000 }),
  setting('otpCallerHour', 'int', '60', 'Calls that one client or person may request per hour; 0: unlimited', {
    min: 0,
    max: 1000000,
  }),
  setting('otpDay', 'int', '1000', 'Calls of the whole server per day; 0: unlimited', { min: 0, max: 1000000 }),
  setting(
    'requireOtp',
    'guarded',
    'none',
    'Actions that require a verified call: none, or downloads, share or both, separated by a comma',
  ),
  setting('otpHours', 'int', '12', 'How long a verified call counts, for the session or API token that verified it', {
    min: 1,
    max: 8784,
  }),
] as const;
