/**
 * A chunk, or a whole file, as one part of multipart/form-data, streamed: the part's bytes go to the engine as they come, everything
 * else in the message is read past within bounds.
 */
import { createHash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { isCutShort } from '../../engine/body/cut-short.ts';
import type { Watch, Watched } from '../../engine/body/stall-watch.ts';
import { LadingError } from '../../errors.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import { fileNameOf } from '../../protocol/http/disposition.ts';
import { checkContentCoding } from './content.ts';
import { type FormPart, FormParts, malformedForm } from './form-parts.ts';

/** Everything but the part: boundaries, headers, other parts. */
export const MAX_OTHER_BYTES = 1024 ** 2;
/** Characters of a field's value at most. */
const MAX_FIELD = 4096;

/** @throws LadingError */
export type FieldCheck = (name: string, value: string) => void;

export class MultipartPart {
  readonly #message: IncomingMessage;
  readonly #parts: FormParts;
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
    // While nothing is read, a client that seems silent may have sent long ago.
    const held = (): boolean => this.#inFile || this.#message.complete || this.#message.readableFlowing === false;
    this.#watch = watch({ isHeld: held, onCheck: () => {}, fail: this.#refuse });
    this.#message.on('data', this.#tap);
    this.#parts = new FormParts(request.raw);
  }

  /**
   * The content of the part.
   * @param missing how a form without it is refused
   * @throws LadingError `missing` when there is no such part, `invalid_name`, `unsupported_media_type` for an encoded one
   */
  async file(missing: 'validation_failed' | 'invalid_request' = 'validation_failed'): Promise<Readable> {
    const part = await this.#nextFile();
    if (!part) throw lacksPart(missing, this.#partName);
    checkPart(part);
    this.fileName = fileNameOf(part.headers['content-disposition'] ?? '');
    this.#inFile = true;
    part.content.once('end', () => {
      this.#inFile = false;
    });
    return part.content;
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
    this.#parts.stop();
  }

  #tap = (piece: Buffer): void => {
    this.#hash?.update(piece);
    if (this.#inFile) return;
    this.#watch.received(piece.length);
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
    if (isCutShort(message)) throw malformedForm('closed');
    if (message.readableEnded) return;
    const ended = new Promise<void>((resolve, reject) => {
      for (const event of ['aborted', 'close']) message.once(event, () => reject(malformedForm('closed')));
      message.once('end', resolve);
    });
    message.resume();
    await Promise.race([ended, this.#refused]);
  }

  /** The next part of the name, past any others; null at the end of the message. */
  async #nextFile(): Promise<FormPart | null> {
    for (;;) {
      const part = await Promise.race([this.#parts.next(), this.#refused]);
      if (part === null || part.name === this.#partName) return part;
      if (part.isFile) part.content.resume();
      else await this.#readField(part);
    }
  }

  async #readField({ name, content }: FormPart): Promise<void> {
    const value = await Promise.race([textOf(content), this.#refused]);
    this.#checkField(name, value);
    if (!this.fields.has(name)) this.fields.set(name, value);
  }
}

async function textOf(content: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of content as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > MAX_FIELD) throw new LadingError('invalid_request', 'A field of the form is too long.');
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof LadingError ? error : malformedForm(error);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/**
 * Encoded bytes must not become the file, whichever field says so (RFC 7578 §4.7 does away with the second one), and neither must a part of
 * another file.
 */
function checkPart({ headers }: FormPart): void {
  const coded = checkContentCoding(headers['content-encoding']);
  if (coded) throw coded;
  if (headers['content-range'] !== undefined)
    throw new LadingError(
      'invalid_request',
      'Content-Range is not accepted in a form: it brings a whole file, or a chunk whose header says where it belongs.',
    );
  const transfer = headers['content-transfer-encoding']?.trim().toLowerCase() ?? 'binary';
  if (['7bit', '8bit', 'binary'].includes(transfer)) return;
  throw new LadingError('unsupported_media_type', 'Send the file as it is, without Content-Transfer-Encoding.', {
    header: 'Content-Transfer-Encoding',
  });
}

/** @param name of the part that is the file */
export function lacksPart(code: 'validation_failed' | 'invalid_request', name: string): LadingError {
  return new LadingError(code, `The form has no part named "${name}", which is expected.`);
}
