/** What the tests of people share. */

export const OPEN = { LADING_REGISTRATION: 'open' };
