/** The door to whoever speaks a code into a telephone. */

export interface SpokenCall {
  /** Id of the session. */
  id: string;
  /** E.164. */
  to: string;
  /** What is said before the code; null: the usual words. */
  message: string | null;
  /** Six digits. */
  code: string;
}

export interface Voice {
  /**
   * Resolves when the call was taken over by whoever places it, or was spoken. Rejects with an Error whose message holds nothing of
   * the code.
   */
  speak(call: SpokenCall, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** What is said, the digits one by one and twice, for a line may be bad. */
export function wordsOf({ message, code }: Pick<SpokenCall, 'message' | 'code'>): string {
  const digits = [...code].join(', ');
  return `${message ?? 'Your code is'}: ${digits}. Once more: ${digits}.`;
}

/** For development: whoever started the server reads the code. */
export function consoleVoice(print: (line: string) => void): Voice {
  return {
    speak: async (call) => print(`Call to ${call.to}: ${wordsOf(call)}`),
    close: async () => {},
  };
}
