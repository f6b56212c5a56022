/** Helpers of the tests of people. */

export const OPEN = { LADING_REGISTRATION: 'open' };
