/** Interface of the services that speak a code over the telephone. */

export interface SpokenCall {
  /** Id of the session. */
  id: string;
  /** E.164. */
  to: string;
  /** Text that is spoken before the code; null: the default text. */
  message: string | null;
  /** Six digits. */
  code: string;
}

export interface Voice {
  /**
   * Resolves when the service accepted the call or the code was spoken. Rejects with an Error whose message does not contain the
   * code.
   */
  speak(call: SpokenCall, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** The spoken text. It has the digits one by one, and twice, because lines may be bad. */
export function wordsOf({ message, code }: Pick<SpokenCall, 'message' | 'code'>): string {
  const digits = [...code].join(', ');
  return `${message ?? 'Your code is'}: ${digits}. Once more: ${digits}.`;
}

/** Prints codes to the terminal instead of calling. For development. */
export function consoleVoice(print: (line: string) => void): Voice {
  return {
    speak: async (call) => print(`Call to ${call.to}: ${wordsOf(call)}`),
    close: async () => {},
  };
}
