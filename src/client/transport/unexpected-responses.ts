/** Detects responses that are not from a Lading server: from other programs at a wrong address, or redirects of proxies. */
import { NetworkError, parseObject } from './failures.ts';
import { readText, type TransportResponse } from './transport.ts';

/** Header fields of Lading. Each reply has the first one, unless a proxy removes it; replies with file content have one of the others. */
const OWN_FIELDS = ['x-request-id', 'etag', 'content-range', 'repr-digest'] as const;

/** Reads responses of one server. An unexpected one means a wrong address before the first valid response, and a transient fault after it. */
export class ResponseReader {
  #hasAnswered = false;

  /** Throws a final `NetworkError` for a redirect. @param url the requested URL @param path its part below the URL of the server */
  check(response: TransportResponse, url: string, path: string): void {
    if (response.status < 300 || response.status >= 400) return;
    response.discard();
    throw redirectError(response, url, path);
  }

  /** Reads a JSON object. Throws `NetworkError` for anything else. */
  async json<T>(response: TransportResponse): Promise<T> {
    return this.parse(await readText(response));
  }

  parse<T>(text: string): T {
    const value = parseObject(text);
    if (Object.keys(value).length === 0) throw this.unexpected();
    this.#hasAnswered = true;
    return value as T;
  }

  /**
   * Checks a successful response that is not JSON by its header fields. Throws `NetworkError` for the page of another program, such as a
   * captive portal.
   */
  checkFields(response: TransportResponse): void {
    if (OWN_FIELDS.some((name) => response.header(name) !== null)) return;
    response.discard();
    throw this.unexpected();
  }

  /** The error for a response that a Lading server does not send. */
  unexpected(): NetworkError {
    const sentence = 'The response is not from a Lading server. Check the address, including its path.';
    return new NetworkError(sentence, { final: !this.#hasAnswered });
  }
}

/** Redirects are not followed, because they could send the credentials to another server. */
function redirectError(response: TransportResponse, url: string, path: string): NetworkError {
  const location = response.header('location');
  const answered = `The server answered ${response.status}`;
  if (location === null || !URL.canParse(location, url)) {
    return new NetworkError(`${answered}, a redirect without a valid Location. Check the address.`, { final: true });
  }
  const target = new URL(location, url);
  const asked = new URL(url);
  const end = new URL(path, 'http://host/').pathname;
  const own = target.pathname.endsWith(end) && target.search === asked.search;
  const base = own ? `${target.origin}${target.pathname.slice(0, 1 - end.length)}` : null;
  const advice =
    base === null || base === url.slice(0, base.length)
      ? 'Check the address of the server.'
      : `If that is your server, use its address: --server ${base}`;
  return new NetworkError(`${answered} and redirects to ${target.href}. ${advice}`, { final: true });
}
