/**
 * A chunk as the part `file` of multipart/form-data, streamed: the part's bytes go to the engine as they come, everything else in the
 * message is read past within bounds.
 */
import { createHash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { Watch, Watched } from '../engine/watchdog.ts';
import { LadingError } from '../errors.ts';
import type { Digest } from '../protocol/digests.ts';

/** Everything but the part `file`: boundaries, headers, other parts. */
const MOST_OTHER_BYTES = 1024 ** 2;
const MOST_PARTS = 32;

/** Options of `@fastify/multipart`. The size of the part is the engine's business, which counts as it fills its buffers. */
export const multipartOptions = {
  throwFileSizeLimit: false,
  isPartAFile: (name: string | undefined, _type: string | undefined, filename: string | undefined): boolean =>
    name === 'file' || filename !== undefined,
  limits: {
    parts: MOST_PARTS,
    files: MOST_PARTS,
    fields: MOST_PARTS,
    headerPairs: 32,
    fieldNameSize: 256,
    fieldSize: 1024,
    fileSize: Number.POSITIVE_INFINITY,
  },
};

export class MultipartChunk {
  readonly #message: IncomingMessage;
  readonly #parts: AsyncIterator<Multipart>;
  readonly #digest: Digest | null;
  readonly #hash: Hash | null;
  readonly #watch: Watch;
  /** Rejects when the message breaks a bound outside the part `file`. */
  readonly #refused: Promise<never>;
  #refuse: (error: LadingError) => void = () => {};
  #otherBytes = 0;
  #inFile = false;

  /**
   * Starts to read the message.
   * @param digest of the whole message's content (RFC 9530), as the client gave it
   * @param watch has an eye on the client outside the part, which the engine watches itself
   */
  constructor(request: FastifyRequest, digest: Digest | null, watch: (watched: Watched) => Watch) {
    this.#message = request.raw;
    this.#digest = digest;
    this.#hash = digest ? createHash(digest.algorithm.replace('-', '')) : null;
    this.#refused = new Promise((_, reject) => {
      this.#refuse = reject;
    });
    this.#refused.catch(() => {});
    this.#watch = watch({ held: () => this.#inFile || this.#message.complete, look: () => {}, fail: this.#refuse });
    this.#message.on('data', this.#tap);
    this.#parts = request.parts();
  }

  /**
   * The content of the part `file`.
   * @throws LadingError `validation_failed` when there is no such part
   */
  async file(): Promise<Readable> {
    const part = await this.#nextFile();
    if (!part) {
      throw new LadingError('validation_failed', 'The form has no part named "file"; the chunk is expected there.');
    }
    this.#inFile = true;
    part.file.once('end', () => {
      this.#inFile = false;
    });
    return part.file;
  }

  /** Reads the message to its end and compares it with its digest. For the moment before the chunk is committed. */
  async finish(): Promise<void> {
    if (await this.#nextFile())
      throw new LadingError('invalid_request', 'The form has more than one part named "file".');
    await this.#toTheEnd();
    this.release();
    if (!this.#digest || !this.#hash) return;
    const actual = this.#hash.digest();
    if (actual.equals(this.#digest.value)) return;
    throw new LadingError(
      'checksum_mismatch',
      `Checksum validation failed. The ${this.#digest.algorithm} of the message is not what Content-Digest says. Send the chunk again.`,
      { expected: Buffer.from(this.#digest.value).toString('base64'), actual: actual.toString('base64') },
    );
  }

  release(): void {
    this.#message.off('data', this.#tap);
    this.#watch.stop();
  }

  #tap = (piece: Buffer): void => {
    this.#hash?.update(piece);
    if (this.#inFile) return;
    this.#watch.seen(piece.length);
    this.#otherBytes += piece.length;
    // The piece in which the part begins or ends counts too, hence the bound is generous.
    if (this.#otherBytes > MOST_OTHER_BYTES) {
      this.#refuse(new LadingError('invalid_request', 'The form has too much in it besides the part named "file".'));
    }
  };

  /** What follows the last boundary belongs to the message (RFC 2046 calls it the epilogue) although the parser stops there. */
  async #toTheEnd(): Promise<void> {
    const message = this.#message;
    if (message.readableEnded) return;
    const ended = new Promise<void>((resolve, reject) => {
      message.once('end', resolve);
      message.once('close', () => reject(malformed('closed')));
      if (message.destroyed) reject(malformed('closed'));
    });
    message.resume();
    await Promise.race([ended, this.#refused]);
  }

  /** The next part named `file`, past any others; null at the end of the message. */
  async #nextFile(): Promise<MultipartFile | null> {
    for (;;) {
      const next = await Promise.race([this.#parts.next(), this.#refused]).catch((error: unknown) => {
        throw error instanceof LadingError ? error : malformed(error);
      });
      if (next.done === true) return null;
      const part = next.value;
      if (part.type !== 'file') continue;
      if (part.fieldname === 'file') return part;
      part.file.resume();
    }
  }
}

function malformed(cause: unknown): LadingError {
  return new LadingError(
    'invalid_request',
    'The multipart/form-data is malformed, cut short or has too many parts.',
    {},
    { cause },
  );
}
