/** What the tests of replacement share. */

export const OVER = { overwrite: true, declaredSize: 6 };
