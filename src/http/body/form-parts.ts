/**
 * Reads multipart/form-data (RFC 7578) part by part. Each part keeps its header fields as they were sent, because the usual form parsers
 * drop some of them and mangle names; `disposition.ts` interprets them.
 */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Dicer } from '@fastify/busboy';
import { isCutShort } from '../../engine/body/cut-short.ts';
import { LadingError } from '../../errors.ts';
import { formFieldOf } from '../../protocol/http/disposition.ts';

/** Limits of the parts of one message and of the header fields of one part. */
const MAX_PARTS = 32;
const MAX_HEADER_PAIRS = 32;
/** Limit of the header section of a part, in bytes: enough for a name of 1,024 bytes, percent-encoded twice. */
const MAX_HEADER_BYTES = 16 * 1024;
const BOUNDARY = /;\s*boundary=(?:"([^"]{1,200})"|([^;"\s]{1,200}))/i;

/** A part whose header section has arrived. */
export interface FormPart {
  /** Name of the field. */
  name: string;
  /** True if the part has a file name. */
  isFile: boolean;
  /** Values by lower-case name. Each character stands for one byte. */
  headers: Readonly<Record<string, string>>;
  /** The caller must read or resume it before the next part arrives. */
  content: Readable;
}

export class FormParts {
  readonly #message: IncomingMessage;
  readonly #parser: Dicer | null;
  readonly #queue: FormPart[] = [];
  readonly #open = new Set<Readable>();
  #failure: LadingError | null = null;
  #ended = false;
  #parts = 0;
  #wake: () => void = () => {};

  /** Starts to read `message`. */
  constructor(message: IncomingMessage) {
    this.#message = message;
    const [, quoted, plain] = BOUNDARY.exec(message.headers['content-type'] ?? '') ?? [];
    const boundary = quoted ?? plain;
    if (boundary === undefined) {
      this.#parser = null;
      this.#failure = malformedForm('no boundary');
      return;
    }
    const limits = { maxHeaderPairs: MAX_HEADER_PAIRS, maxHeaderSize: MAX_HEADER_BYTES };
    this.#parser = new Dicer({ boundary, ...limits });
    this.#parser.on('part', (content) => this.#began(content));
    this.#parser.on('error', (error) => this.#fail(error));
    this.#parser.on('finish', () => {
      this.#ended = true;
      this.#wake();
    });
    message.once('close', () => {
      if (!message.readableEnded) this.#fail('closed');
    });
    message.once('aborted', () => this.#fail('closed'));
    if (isCutShort(message)) this.#fail('closed');
    else message.pipe(this.#parser);
  }

  /**
   * Returns the next part, or null after the last one. Call it again only when the promise has settled.
   * @throws LadingError `invalid_request` for a message that is malformed, cut short or has too many parts
   */
  async next(): Promise<FormPart | null> {
    for (;;) {
      const part = this.#queue.shift();
      if (part) return part;
      if (this.#failure) throw this.#failure;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Stops reading the message. */
  stop(): void {
    if (this.#parser) this.#message.unpipe(this.#parser);
  }

  #began(content: Readable & { once(event: 'header', listener: (headers: object) => void): unknown }): void {
    this.#parts += 1;
    this.#open.add(content);
    content.on('error', () => {}).once('close', () => this.#open.delete(content));
    if (this.#parts > MAX_PARTS) {
      this.#fail('too many parts');
      return;
    }
    content.once('header', (fields: object) => {
      const all = Object.entries(fields as Record<string, string[]>);
      const headers = Object.fromEntries(all.map(([name, [first = '']]) => [name, first]));
      const field = formFieldOf(headers['content-disposition'] ?? '');
      if (field === null) {
        content.resume();
        return;
      }
      this.#queue.push({ ...field, headers, content });
      this.#wake();
    });
  }

  #fail(cause: unknown): void {
    this.#failure ??= malformedForm(cause);
    this.stop();
    for (const content of this.#open) content.destroy(this.#failure);
    this.#wake();
  }
}

/** The error for a form that cannot be parsed. */
export function malformedForm(cause: unknown): LadingError {
  return new LadingError(
    'invalid_request',
    'The multipart/form-data is malformed, cut short or has too many parts.',
    {},
    { cause },
  );
}
