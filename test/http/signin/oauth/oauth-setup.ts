/** Helpers of the tests of OAuth. */

export const CREDENTIALS = { grant_type: 'client_credentials' };
