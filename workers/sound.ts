/**
 * Parses sound files in a separate thread, one file at a time. A crafted file can make its parser use any amount of time and memory, and a
 * thread can be terminated. The main thread has the files and answers reads.
 *
 *     main → { parse, size }   ← { read, position, length }   → { bytes } …   ← { sound } or { failure }
 */
import { parentPort } from 'node:worker_threads';
import { parseSound } from '../src/audio/parse-sound.ts';
import type { Sound } from '../src/records/audio.ts';
import { describeFailure, type Failure } from './failures.ts';

/** Messages to the thread. */
export type SoundRequest =
  | { kind: 'parse'; size: number }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'unreadable' };

/** Messages from the thread. */
export type SoundMessage =
  | { kind: 'ready' }
  | { kind: 'read'; position: number; length: number }
  | { kind: 'sound'; sound: Sound | null }
  | { kind: 'failure'; failure: Failure };

/** The main thread could not read the file, and knows the reason. */
class UnreadableError extends Error {
  readonly code = 'UNREADABLE';
}

if (parentPort) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  const post = (message: SoundMessage): void => port.postMessage(message);
  let onBytes: ((message: SoundRequest) => void) | null = null;

  /** The last read. Reads run one after another. */
  let last: Promise<unknown> = Promise.resolve();
  const read = (into: Uint8Array, position: number): Promise<number> => {
    const current = last.then(async () => {
      const reply = new Promise<SoundRequest>((resolve) => {
        onBytes = resolve;
      });
      post({ kind: 'read', position, length: into.length });
      const message = await reply;
      if (message.kind !== 'bytes') throw new UnreadableError();
      into.set(message.bytes);
      return message.bytes.length;
    });
    last = current.catch(() => {});
    return current;
  };

  port.on('message', (message: SoundRequest) => {
    if (message.kind !== 'parse') {
      onBytes?.(message);
      return;
    }
    parseSound({ size: message.size, read }).then(
      (sound) => post({ kind: 'sound', sound }),
      (error: unknown) => post({ kind: 'failure', failure: describeFailure(error) }),
    );
  });
  post({ kind: 'ready' });
}
