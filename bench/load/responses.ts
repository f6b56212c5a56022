/** A minimal HTTP/1.1 response parser: status, Content-Length, and number of received body bytes. */
export interface Reply {
  status: number;
  /** Bytes of the body. */
  length: number;
  /** The first bytes of the body, only for an unexpected status. */
  excerpt: string;
}

const EXCERPT_BYTES = 400;
const HEAD_BYTES = 16_384;

export class ResponseReader {
  private readonly expect: number;
  private readonly onReply: (reply: Reply) => void;
  private head = '';
  private status = 0;
  private length = 0;
  private left = -1;
  private excerpt = '';

  constructor(expect: number, onReply: (reply: Reply) => void) {
    this.expect = expect;
    this.onReply = onReply;
  }

  /** Parses received bytes. Throws for an unsupported response. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.left < 0) {
        at = this.readHead(bytes, at);
        if (this.left !== 0) continue;
      } else {
        const take = Math.min(this.left, bytes.length - at);
        if (this.status !== this.expect && this.excerpt.length < EXCERPT_BYTES)
          this.excerpt += bytes.toString('utf8', at, at + Math.min(take, EXCERPT_BYTES));
        at += take;
        this.left -= take;
      }
      if (this.left === 0) this.finish();
    }
  }

  private finish(): void {
    const reply = { status: this.status, length: this.length, excerpt: this.excerpt };
    this.left = -1;
    this.excerpt = '';
    this.onReply(reply);
  }

  private readHead(bytes: Buffer, at: number): number {
    // Keep the head as text, so that an end split over two reads is found.
    const seen = this.head.length;
    const text = this.head + bytes.toString('latin1', at, Math.min(bytes.length, at + HEAD_BYTES));
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) {
      if (text.length >= HEAD_BYTES) throw new Error(`no end of the response head in ${text.length} bytes`);
      this.head = text;
      return bytes.length;
    }
    this.head = '';
    this.parseHead(text.slice(0, end));
    return at + end + 4 - seen;
  }

  private parseHead(head: string): void {
    const status = Number(head.slice(9, 12));
    if (!head.startsWith('HTTP/1.1 ') || !Number.isInteger(status))
      throw new Error(`not a response: ${head.slice(0, 80)}`);
    if (status < 200) {
      // Skip an interim response, which has no body.
      this.left = -1;
      return;
    }
    const field = /\r\ncontent-length:[ \t]*(\d+)/i.exec(head);
    if (field === null && status !== 204 && status !== 304) throw new Error(`no Content-Length: ${head.slice(0, 300)}`);
    this.status = status;
    this.length = field === null || status === 204 ? 0 : Number(field[1]);
    this.left = this.length;
  }
}
