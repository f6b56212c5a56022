/**
 * A chunk, or a whole file, as one part of multipart/form-data, streamed: the part's bytes go to the engine as they come, everything
 * else in the message is read past within bounds.
 */
import { createHash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { Watch, Watched } from '../engine/watchdog.ts';
import { LadingError } from '../errors.ts';
import type { Digest } from '../protocol/digests.ts';

/** Everything but the part: boundaries, headers, other parts. */
export const MAX_OTHER_BYTES = 1024 ** 2;
const MOST_PARTS = 32;

const COMMON_OPTIONS = {
  throwFileSizeLimit: false,
  limits: {
    parts: MOST_PARTS,
    files: MOST_PARTS,
    fields: MOST_PARTS,
    headerPairs: 32,
    fieldNameSize: 256,
    fieldSize: 4096,
    fileSize: Number.POSITIVE_INFINITY,
  },
};

/** Options of `@fastify/multipart`. The size of the part is the engine's business, which counts as it fills its buffers. */
export const multipartOptions = multipartOptionsFor('file');

/** The same where the part is called otherwise. */
export function multipartOptionsFor(partName: string) {
  return {
    ...COMMON_OPTIONS,
    isPartAFile: (name: string | undefined, _type: string | undefined, filename: string | undefined): boolean =>
      name === partName || filename !== undefined,
  };
}

/** @throws LadingError */
export type FieldCheck = (name: string, value: string) => void;

export class MultipartPart {
  readonly #message: IncomingMessage;
  readonly #parts: AsyncIterator<Multipart>;
  readonly #digest: Digest | null;
  readonly #hash: Hash | null;
  readonly #watch: Watch;
  readonly #partName: string;
  readonly #checkField: FieldCheck;
  /** Fields of the form that came so far, the first of each name. */
  readonly fields = new Map<string, string>();
  /** What the sender calls the file, without any folders; null when it does not say. */
  fileName: string | null = null;
  /** Rejects when the message breaks a bound outside the part. */
  readonly #refused: Promise<never>;
  #refuse: (error: LadingError) => void = () => {};
  #otherBytes = 0;
  #inFile = false;

  /**
   * Starts to read the message.
   * @param digest of the whole message's content (RFC 9530), as the client gave it
   * @param watch has an eye on the client outside the part, which the engine watches itself
   * @param partName of the part that is stored
   * @param checkField throws for a field that must not be ignored
   */
  constructor(
    request: FastifyRequest,
    digest: Digest | null,
    watch: (watched: Watched) => Watch,
    partName: string = 'file',
    checkField: FieldCheck = () => {},
  ) {
    this.#partName = partName;
    this.#checkField = checkField;
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
   * The content of the part.
   * @throws LadingError `validation_failed` when there is no such part
   */
  async file(): Promise<Readable> {
    const part = await this.#nextFile();
    if (!part) {
      throw new LadingError('validation_failed', `The form has no part named "${this.#partName}", which is expected.`);
    }
    this.fileName = part.filename?.split(/[/\\]/).at(-1) || null;
    this.#inFile = true;
    part.file.once('end', () => {
      this.#inFile = false;
    });
    return part.file;
  }

  /** Reads the message to its end and compares it with its digest. For the moment before the bytes are committed. */
  async finish(): Promise<void> {
    if (await this.#nextFile())
      throw new LadingError('invalid_request', `The form has more than one part named "${this.#partName}".`);
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
    if (this.#otherBytes > MAX_OTHER_BYTES) {
      this.#refuse(
        new LadingError('invalid_request', `The form has too much in it besides the part named "${this.#partName}".`),
      );
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

  /** The next part of the name, past any others; null at the end of the message. */
  async #nextFile(): Promise<MultipartFile | null> {
    for (;;) {
      const next = await Promise.race([this.#parts.next(), this.#refused]).catch((error: unknown) => {
        throw error instanceof LadingError ? error : malformed(error);
      });
      if (next.done === true) return null;
      const part = next.value;
      // The parser's types do not say that a part may come without a name.
      const name: string | undefined = part.fieldname;
      if (part.type !== 'file') {
        if (part.valueTruncated) throw new LadingError('invalid_request', 'A field of the form is too long.');
        if (name === undefined) continue;
        this.#checkField(name, String(part.value));
        if (!this.fields.has(name)) this.fields.set(name, String(part.value));
        continue;
      }
      if (part.fieldname === this.#partName) return part;
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
