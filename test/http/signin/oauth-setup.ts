/** What the tests of oauth share. */

export const CREDENTIALS = { grant_type: 'client_credentials' };
