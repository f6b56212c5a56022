/** Shared by the tests of replacements. */

export const OVER = { overwrite: true, declaredSize: 6 };
