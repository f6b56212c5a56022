/** Reports something that went wrong and did not stop what was being done. */
export type Warn = (message: string, details: object) => void;
