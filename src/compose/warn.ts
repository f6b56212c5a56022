/** Logs a problem that did not make the operation fail. */
export type Warn = (message: string, details: object) => void;
