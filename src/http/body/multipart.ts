/**
 * Streams one part of multipart/form-data, a chunk or a whole file, to the engine. The rest of the message is read and limited in size.
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

/** Limit of everything besides the part: boundaries, headers and other parts. */
export const MAX_OTHER_BYTES = 1024 ** 2;
/** Limit of the value of a field, in bytes. */
const MAX_FIELD = 4096;

/** Throws a LadingError for a field that the route must not ignore. */
export type FieldCheck = (name: string, value: string) => void;

/** One request whose form contains the part. Call `release` in any case. */
export class MultipartPart {
  readonly #message: IncomingMessage;
  readonly #parts: FormParts;
  readonly #digest: Digest | null;
  readonly #hash: Hash | null;
  readonly #watch: Watch;
  readonly #partName: string;
  readonly #checkField: FieldCheck;
  /** Fields of the form that have arrived. If a name repeats, its first value counts. */
  readonly fields = new Map<string, string>();
  /** The name of the file in the form, without directories; null if the form gives none. */
  fileName: string | null = null;
  /** Rejects when the rest of the message exceeds its limit or stalls. */
  readonly #refused: Promise<never>;
  #refuse: (error: LadingError) => void = () => {};
  #otherBytes = 0;
  #inFile = false;

  /**
   * Starts to read the message.
   * @param digest the client's digest of the whole body (RFC 9530)
   * @param watch watches for stalls outside the part; the engine watches the part itself
   * @param partName name of the part that is stored
   * @param checkField throws for a field that the route must not ignore
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
    // While the server does not read, the client is not to blame for the silence.
    const held = (): boolean => this.#inFile || this.#message.complete || this.#message.readableFlowing === false;
    this.#watch = watch({ isHeld: held, onCheck: () => {}, fail: this.#refuse });
    this.#message.on('data', this.#tap);
    this.#parts = new FormParts(request.raw);
  }

  /**
   * Returns the content of the part.
   * @param missing the error for a form without the part
   * @throws LadingError `missing`, `invalid_name`, or `unsupported_media_type` for an encoded part
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

  /** Reads the message to its end and compares it with its digest. Call it before the bytes are committed. */
  async finish(): Promise<void> {
    if (await this.#nextFile())
      throw new LadingError('invalid_request', `The form has more than one part named "${this.#partName}". Send one.`);
    await this.#toTheEnd();
    this.release();
    if (!this.#digest || !this.#hash) return;
    const actual = this.#hash.digest();
    if (actual.equals(this.#digest.value)) return;
    throw new LadingError(
      'checksum_mismatch',
      `Checksum validation failed. The ${this.#digest.algorithm} of the body does not match Content-Digest. Send the request again.`,
      { expected: Buffer.from(this.#digest.value).toString('base64'), actual: actual.toString('base64') },
    );
  }

  /** Stops reading and watching the message. */
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
    // The buffers in which the part begins and ends count, too, so the limit is generous.
    if (this.#otherBytes > MAX_OTHER_BYTES) {
      this.#refuse(
        new LadingError('invalid_request', `The form is too large apart from the part named "${this.#partName}".`),
      );
    }
  };

  /** Reads the epilogue (RFC 2046 §5.1.1), which belongs to the message although the parser stops at the last boundary. */
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

  /** The next part with the right name; reads the others. Null at the end of the message. */
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
      if (length > MAX_FIELD) throw new LadingError('invalid_request', 'A field of the form has more than 4096 bytes.');
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof LadingError ? error : malformedForm(error);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/**
 * Refuses encoded bytes and parts of files, which must not be stored as the file. RFC 7578 §4.7 deprecates Content-Transfer-Encoding, but
 * some clients send it.
 */
function checkPart({ headers }: FormPart): void {
  const coded = checkContentCoding(headers['content-encoding']);
  if (coded) throw coded;
  if (headers['content-range'] !== undefined)
    throw new LadingError(
      'invalid_request',
      'A part of a form must not have Content-Range. The range of a chunk is in its header.',
    );
  const transfer = headers['content-transfer-encoding']?.trim().toLowerCase() ?? 'binary';
  if (['7bit', '8bit', 'binary'].includes(transfer)) return;
  throw new LadingError('unsupported_media_type', 'Send the file as it is, without Content-Transfer-Encoding.', {
    header: 'Content-Transfer-Encoding',
  });
}

/** The error for a form without the part. @param name of the part that is the file */
export function lacksPart(code: 'validation_failed' | 'invalid_request', name: string): LadingError {
  return new LadingError(code, `The form has no part named "${name}". Send the file in this part.`);
}
