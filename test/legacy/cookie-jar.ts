/** The cookies of a program, by name. Each is sent to its path only. */
import type { Ask, OldReply, Sent } from './old-client.ts';

interface Cookie {
  value: string;
  path: string;
}

export class CookieJar {
  readonly #ask: Ask;
  readonly #cookies = new Map<string, Cookie>();

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** Sends a request with the stored cookies, and stores those of the reply. */
  async ask(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<OldReply> {
    const cookie = this.header(path);
    const reply = await this.#ask(method, path, { headers: cookie === '' ? headers : { ...headers, cookie }, body });
    for (const line of reply.headers['set-cookie'] ?? []) this.#keep(line);
    return reply;
  }

  json(method: string, path: string, value: unknown, headers: Record<string, string> = {}): Promise<OldReply> {
    const type = { 'content-type': 'application/json' };
    return this.ask(method, path, { headers: { ...type, ...headers }, body: JSON.stringify(value) });
  }

  /** The field `Cookie` of a request to this path; empty without cookies. */
  header(path: string): string {
    const own = [...this.#cookies].filter(([, cookie]) => path.startsWith(cookie.path));
    return own.map(([name, { value }]) => `${name}=${value}`).join('; ');
  }

  names(): string[] {
    return [...this.#cookies.keys()].sort();
  }

  /** A copy for another tab, which changes independently. */
  copy(): CookieJar {
    const other = new CookieJar(this.#ask);
    for (const [name, cookie] of this.#cookies) other.#cookies.set(name, cookie);
    return other;
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split('; ');
    const name = pair.slice(0, pair.indexOf('='));
    if (attributes.includes('Max-Age=0')) this.#cookies.delete(name);
    else {
      const path = attributes.find((attribute) => attribute.startsWith('Path='))?.slice('Path='.length) ?? '/';
      this.#cookies.set(name, { value: pair.slice(name.length + 1), path });
    }
  }
}
