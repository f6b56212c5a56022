/**
 * Which addresses deliveries may go to: those of the public internet. Names are looked up once, and the very address that was looked
 * at is connected to, so that a name cannot answer one thing to the check and another to the connection.
 */
import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LadingError } from '../errors.ts';
import { DEFAULT_TENANT } from '../identity/rights/policy.ts';

/** All of IPv6 that is given out for the public; the rest is special in one way or another. */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];

/** False for loopback, private, link-local and any other address that is not of the public internet, however it is written. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false;
  // An IPv4 address inside of an IPv6 one is judged as what it is.
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(...GLOBAL_UNICAST);
}

/** The host of a URL without the brackets of an IPv6 address. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/**
 * Checks the URL of a webhook. The addresses of a host name are checked again when the connection is made.
 * @throws LadingError `invalid_request`
 */
export function checkWebhookUrl(text: string, allowPrivate: boolean): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new LadingError('invalid_request', 'The address of a webhook is a URL such as https://example.org/hook.');
  }
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) {
    throw new LadingError(
      'invalid_request',
      'A webhook needs https. http works only with LADING_WEBHOOK_PRIVATE=on, for services of your own network.',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new LadingError('invalid_request', 'A URL with a password in it is not kept: the signature shows who sends.');
  }
  if (!allowPrivate) checkPublicHost(bare(url.hostname));
  return url;
}

/**
 * True for targets that may be in the server's own network: those of the tenant that runs the server, and with
 * LADING_WEBHOOK_PRIVATE=on all. Others could find out there what listens and what it says.
 */
export function mayBePrivate(tenant: string, allowPrivate: boolean): boolean {
  return allowPrivate || tenant === DEFAULT_TENANT;
}

/** Names of the machine itself and of networks around it (RFC 6761, RFC 6762, RFC 8375), whatever a resolver says. */
const INNER_NAME = /(^|\.)(localhost|localdomain|local|internal|home\.arpa)\.*$/i;

/**
 * Refuses a host that is not of the public internet, as far as its name or address tells.
 * @param host as somebody wrote it: resolvers take `0x7f.1` and `2130706433` for 127.0.0.1, too
 * @throws LadingError `invalid_request`
 */
export function checkPublicHost(host: string): void {
  const written = `http://${host.includes(':') ? `[${bare(host)}]` : host}/`;
  if (!URL.canParse(written)) throw notPublic();
  const meant = bare(new URL(written).hostname);
  const isPublic = isIP(meant) === 0 ? !INNER_NAME.test(meant) : isPublicAddress(meant);
  if (!isPublic) throw notPublic();
}

/**
 * The address of a host, to connect to that very one.
 * @throws LadingError `invalid_request` when one of its addresses is not public; what the resolver fails with
 */
export function publicAddressOf(host: string, resolve: typeof lookup = lookup): Promise<string> {
  return new Promise((done, fail) => {
    publicLookup(resolve)(host, { all: false }, (error, address) => {
      if (error) fail(error);
      else done(String(address));
    });
  });
}

function notPublic(): LadingError {
  return new LadingError(
    'invalid_request',
    'This address is not on the public internet. LADING_WEBHOOK_PRIVATE=on allows deliveries to your own network.',
  );
}

/** Looks names up as `dns.lookup` does, and answers only addresses of the public internet. */
export function publicLookup(resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      const addresses = [found ?? []].flat();
      const good = addresses.filter(({ address }) => isPublicAddress(address));
      const first = good[0];
      if (error) callback(error, '', 0);
      // One bad answer among good ones is a name that plays games.
      else if (first === undefined || good.length < addresses.length) callback(notPublic(), '', 0);
      else if (options.all) callback(null, good);
      else callback(null, first.address, first.family);
    });
  };
}
