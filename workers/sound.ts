/**
 * Parsers of media files in a thread of their own, one file at a time: what they do with a file that somebody made up may take any time
 * and memory, and a thread can be ended. Bytes come from the main thread, which has the files.
 *
 *     main → { look, size }   ← { read, position, length }   → { bytes } …   ← { sound } or { failure }
 */
import { parentPort } from 'node:worker_threads';
import { parseSound } from '../src/audio/parse-sound.ts';
import type { Sound } from '../src/records/audio.ts';
import { describeFailure, type Failure } from './failures.ts';

export type SoundRequest =
  | { kind: 'look'; size: number }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'unreadable' };

export type SoundMessage =
  | { kind: 'ready' }
  | { kind: 'read'; position: number; length: number }
  | { kind: 'sound'; sound: Sound | null }
  | { kind: 'failure'; failure: Failure };

/** Its file cannot be read; the main thread knows why. */
class UnreadableError extends Error {
  readonly code = 'UNREADABLE';
}

if (parentPort) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  const say = (message: SoundMessage): void => port.postMessage(message);
  let answer: ((message: SoundRequest) => void) | null = null;

  /** One read after the other; parsers wait for each. */
  let last: Promise<unknown> = Promise.resolve();
  const read = (into: Uint8Array, position: number): Promise<number> => {
    const mine = last.then(async () => {
      const come = new Promise<SoundRequest>((resolve) => {
        answer = resolve;
      });
      say({ kind: 'read', position, length: into.length });
      const message = await come;
      if (message.kind !== 'bytes') throw new UnreadableError();
      into.set(message.bytes);
      return message.bytes.length;
    });
    last = mine.catch(() => {});
    return mine;
  };

  port.on('message', (message: SoundRequest) => {
    if (message.kind !== 'look') {
      answer?.(message);
      return;
    }
    parseSound({ size: message.size, read }).then(
      (sound) => say({ kind: 'sound', sound }),
      (error: unknown) => say({ kind: 'failure', failure: describeFailure(error) }),
    );
  });
  say({ kind: 'ready' });
}
