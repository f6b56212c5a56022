/** A minimal browser for signing in with a provider: cookies by host, redirects one at a time, and forms. */
import assert from 'node:assert/strict';

export interface Page {
  status: number;
  url: string;
  headers: Headers;
  body: string;
}

export class Browser {
  /** By origin: name → value. */
  readonly cookies = new Map<string, Map<string, string>>();

  /** Sends one request. Redirects are not followed. */
  async ask(url: string, init: RequestInit = {}): Promise<Page> {
    const { origin } = new URL(url);
    const jar = this.cookies.get(origin) ?? new Map<string, string>();
    this.cookies.set(origin, jar);
    const headers = new Headers(init.headers);
    if (jar.size > 0) headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '));
    const reply = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of reply.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(/; */);
      const [name = '', value = ''] = pair.split('=');
      const expired = attributes.some(
        (attribute) => /^max-age=0$/i.test(attribute) || /^expires=thu, 01 jan 1970/i.test(attribute),
      );
      if (expired) jar.delete(name);
      else jar.set(name, value);
    }
    return { status: reply.status, url, headers: reply.headers, body: await reply.text() };
  }

  /** Follows redirects to the end, or to a URL that `stop` accepts, which is not requested. */
  async go(url: string, stop: (url: string) => boolean = () => false): Promise<Page> {
    let page = await this.ask(url);
    for (let hops = 0; hops < 20; hops += 1) {
      const location = page.headers.get('location');
      if (location === null) return page;
      const next = new URL(location, page.url).href;
      if (stop(next)) return { ...page, url: next };
      page = await this.ask(next);
    }
    throw new Error('too many redirects');
  }

  /** Submits the first form of a page with these fields and its hidden ones, and follows redirects. */
  async submit(page: Page, fields: Record<string, string>, stop?: (url: string) => boolean): Promise<Page> {
    const action = /<form[^>]* action="([^"]*)"/.exec(page.body)?.[1];
    assert.ok(action !== undefined, `no form: ${page.status} ${page.body.slice(0, 300)}`);
    const hidden = [...page.body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
    const body = new URLSearchParams();
    for (const [, name = '', value = ''] of hidden) body.append(name, value);
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    const sent = await this.ask(new URL(action, page.url).href, { method: 'POST', body });
    const location = sent.headers.get('location');
    if (location === null) return sent;
    const next = new URL(location, sent.url).href;
    return stop?.(next) ? { ...sent, url: next } : this.go(next, stop);
  }
}
