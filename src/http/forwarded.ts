/** `Forwarded` (RFC 7239), for proxies that say in it what others say in X-Forwarded-For, -Proto and -Host. */
import type { IncomingHttpHeaders, RequestListener } from 'node:http';

/** `name=value` with a token or a quoted text. */
const PAIR = /([!#$%&'*+.^_`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,\s"]+))/g;
/** An address without its port, IPv6 without its brackets. */
const NODE = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/;

/**
 * Puts the one into the words of the other, so that whoever decides which proxies are trusted has one chain to look at. A proxy that says
 * anything in X-Forwarded-For is believed in that: it may pass on a `Forwarded` that its client made up.
 */
export function readsForwarded(handler: RequestListener): RequestListener {
  return (request, response) => {
    const { headers } = request;
    if (headers.forwarded !== undefined && headers['x-forwarded-for'] === undefined)
      translate(headers, headers.forwarded);
    handler(request, response);
  };
}

function translate(headers: IncomingHttpHeaders, forwarded: string): void {
  const said: Record<'for' | 'proto' | 'host', string[]> = { for: [], proto: [], host: [] };
  for (const element of splitList(forwarded)) {
    for (const [, name = '', quoted, token = ''] of element.matchAll(PAIR)) {
      const key = name.toLowerCase();
      const value = quoted?.replaceAll(/\\(.)/g, '$1') ?? token;
      if (key === 'for') said.for.push(addressOf(value));
      if (key === 'proto' || key === 'host') said[key].push(value);
    }
  }
  delete headers['x-forwarded-proto'];
  delete headers['x-forwarded-host'];
  for (const key of ['for', 'proto', 'host'] as const) {
    if (said[key].length > 0) headers[`x-forwarded-${key}`] = said[key].join(', ');
  }
}

/** At commas that stand outside of quotes. */
function splitList(value: string): string[] {
  return value.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
}

function addressOf(node: string): string {
  const [, v6, other] = NODE.exec(node) ?? [];
  return v6 ?? other ?? 'unknown';
}
