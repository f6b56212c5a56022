/** Answers that are none of a Lading server: those of other programs at a wrong address, and of proxies that send elsewhere. */
import { NetworkError, parseObject } from './failures.ts';
import { readText, type TransportResponse } from './transport.ts';

/** Every reply has the first of them, unless a proxy removes it; replies with bytes of files have one of the others. */
const OWN_FIELDS = ['x-request-id', 'etag', 'content-range', 'repr-digest'] as const;

/** Reads the answers of one server. Before the first of them what is strange means a wrong address, afterwards a passing fault. */
export class ResponseReader {
  #met = false;

  /** @param url what was asked for @param path its part below the address of the server. Throws a final `NetworkError` for a redirect. */
  check(response: TransportResponse, url: string, path: string): void {
    if (response.status < 300 || response.status >= 400) return;
    response.discard();
    throw redirectError(response, url, path);
  }

  /** An object of JSON. Throws `NetworkError` for anything else. */
  async json<T>(response: TransportResponse): Promise<T> {
    return this.parse(await readText(response));
  }

  parse<T>(text: string): T {
    const value = parseObject(text);
    if (Object.keys(value).length === 0) throw this.unexpected();
    this.#met = true;
    return value as T;
  }

  /**
   * For successes that are not JSON: only a Lading server gives them such fields. Throws `NetworkError` for the page of another program,
   * such as a captive portal.
   */
  checkFields(response: TransportResponse): void {
    if (OWN_FIELDS.some((name) => response.header(name) !== null)) return;
    response.discard();
    throw this.unexpected();
  }

  /** What to throw for an answer that a Lading server does not give. */
  unexpected(): NetworkError {
    const sentence = 'The answer is not that of a Lading server. Check the address, with the path that it lives under.';
    return new NetworkError(sentence, { final: !this.#met });
  }
}

/** Nothing is sent where a redirect leads: it may be another server, which the credentials are no business of. */
function redirectError(response: TransportResponse, url: string, path: string): NetworkError {
  const location = response.header('location');
  const answered = `The server answered ${response.status}`;
  if (location === null || !URL.canParse(location, url)) {
    return new NetworkError(`${answered}, a redirect that leads nowhere. Check the address.`, { final: true });
  }
  const target = new URL(location, url);
  const asked = new URL(url);
  const end = new URL(path, 'http://host/').pathname;
  const own = target.pathname.endsWith(end) && target.search === asked.search;
  const base = own ? `${target.origin}${target.pathname.slice(0, 1 - end.length)}` : null;
  const advice =
    base === null || base === url.slice(0, base.length)
      ? 'Check the address of the server.'
      : `If that is the server, use its address: --server ${base}`;
  return new NetworkError(`${answered} and sends elsewhere, to ${target.href}. ${advice}`, { final: true });
}
