/** HTTP/1.1 over a plain socket, for requests that no client library sends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { CATALOGUE, type ErrorCode } from '../../../src/errors.ts';
import type { Problem } from '../../../src/protocol/schemas/problem.ts';

export interface WireResponse {
  status: number;
  /** Header fields by lower-case name; repeated fields are joined with commas. */
  headers: Record<string, string>;
  body: string;
}

export class Wire {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (piece) => {
      this.#received = Buffer.concat([this.#received, piece]);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end).on('close', end);
    // A client that waits for a reply sees the reset.
    socket.on('error', () => {});
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Wire(socket);
  }

  /** Sends the request line and the fields, one line each. */
  head(...lines: string[]): this {
    this.socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    return this;
  }

  send(bytes: Uint8Array | string): this {
    this.socket.write(bytes);
    return this;
  }

  /** Reads the next response, which may be an interim one. Interim responses and those to HEAD have no body. */
  async response(toHead = false): Promise<WireResponse> {
    const text = await this.#until((received) => {
      const end = received.indexOf('\r\n\r\n');
      return end === -1 ? null : end + 4;
    });
    const [statusLine = '', ...lines] = text.toString('latin1').trimEnd().split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
    assert.ok(status, `not a response: ${statusLine}`);
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    }
    const length = status < 200 || toHead ? 0 : Number(headers['content-length'] ?? 0);
    const body =
      length === 0 ? '' : (await this.#until((received) => (received.length < length ? null : length))).toString();
    return { status, headers, body };
  }

  /** Reads a body with the chunked coding. */
  async chunkedBody(): Promise<string> {
    let body = '';
    for (;;) {
      const line = await this.#until((received) => {
        const end = received.indexOf('\r\n');
        return end === -1 ? null : end + 2;
      });
      const length = Number.parseInt(line.toString('latin1'), 16);
      const data = await this.#until((received) => (received.length < length + 2 ? null : length + 2));
      body += data.toString('utf8', 0, length);
      if (length === 0) return body;
    }
  }

  /** Waits until the server closes the connection. @returns the bytes after the last response */
  async closed(): Promise<string> {
    while (!this.#ended) await this.#more();
    return this.#received.toString('latin1');
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #until(cut: (received: Buffer) => number | null): Promise<Buffer> {
    for (;;) {
      const at = cut(this.#received);
      if (at !== null) {
        const taken = this.#received.subarray(0, at);
        this.#received = this.#received.subarray(at);
        return taken;
      }
      if (this.#ended)
        throw new Error(`the connection ended after ${JSON.stringify(this.#received.toString('latin1'))}`);
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Sends one request on a new connection and reads the reply. */
export async function exchange(port: number, ...lines: string[]): Promise<WireResponse> {
  const wire = await Wire.open(port);
  try {
    return await wire.head(...lines).response(lines[0]?.startsWith('HEAD ') === true);
  } finally {
    wire.destroy();
  }
}

/** Checks that a response is a complete problem document with this code, without internals of the server. */
export function assertProblem(response: WireResponse, code: ErrorCode): Problem {
  const shown = JSON.stringify(response);
  assert.equal(response.status, CATALOGUE[code].status, shown);
  assert.equal(response.headers['content-type'], 'application/problem+json', shown);
  const problem = JSON.parse(response.body) as Problem;
  assert.equal(problem.code, code, shown);
  assert.equal(problem.status, response.status, shown);
  assert.equal(problem.title, CATALOGUE[code].title, shown);
  assert.match(problem.type, /^[a-z]+:/, shown);
  assert.ok(problem.detail.length > 10, shown);
  assert.doesNotMatch(
    response.body,
    /node_modules|node:|\.[jt]s\b|\/work|\/tmp|lading-test|FST_|Error:| at [A-Za-z.<]+ \(/,
    shown,
  );
  return problem;
}

/** Does the same for a response of `fetch`. */
export async function assertProblemReply(reply: Response, code: ErrorCode): Promise<Problem> {
  const headers = Object.fromEntries(reply.headers);
  return assertProblem({ status: reply.status, headers, body: await reply.text() }, code);
}
