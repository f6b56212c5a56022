/** Network addresses in one canonical form. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Longest text that is parsed: a full IPv6 address with a zone, brackets and a port. */
const MAX_NODE = 100;
/** `192.0.2.1:80`, `[2001:db8::1]:80` (RFC 7239 §6, RFC 3986 §3.2.2). */
const WITH_PORT = /^(?:\[([^[\]]+)\]|(?:::ffff:)?(\d+\.\d+\.\d+\.\d+))(?::[\w.-]*)?$/i;

/**
 * Parses the address in a node of `Forwarded` or `X-Forwarded-For`, or of a socket. Brackets and port are dropped, IPv4-mapped IPv6
 * becomes IPv4, and IPv6 takes its short form (RFC 5952).
 *
 *     203.0.113.7:555              → 203.0.113.7
 *     [2001:DB8:0:0::1]:80         → 2001:db8::1
 *     ::ffff:203.0.113.7           → 203.0.113.7
 *     unknown, _hidden, anything   → null
 */
export function addressOfNode(node: string): string | null {
  if (node.length > MAX_NODE) return null;
  const text = node.trim();
  const [, bracketed, dotted] = WITH_PORT.exec(text) ?? [];
  // A zone (`%eth0`) names an interface of this machine.
  const [bare = ''] = (bracketed ?? dotted ?? text).split('%');
  const version = isIP(bare);
  if (version === 0) return null;
  return version === 4 ? bare : ipaddr.process(bare).toString();
}

/** True for a loopback address. @param address as `addressOfNode` returns it */
export function isLoopback(address: string): boolean {
  return isIP(address) !== 0 && ipaddr.process(address).range() === 'loopback';
}

/** Bits before the IPv4 address in an IPv4-mapped one (RFC 4291 §2.5.5.2). */
const MAPPED_BITS = 96;

/**
 * Rewrites an address or range of IPv4-mapped IPv6 as IPv4. Returns anything else unchanged.
 *
 *     ::ffff:10.0.0.0/104  →  10.0.0.0/8
 */
export function plainRange(range: string): string {
  const [address = '', bits = '128'] = range.split('/');
  if (isIP(address) !== 6 || Number(bits) < MAPPED_BITS) return range;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4' ? `${parsed.toString()}/${Number(bits) - MAPPED_BITS}` : range;
}

/**
 * The network that a limit counts as one address. An IPv6 host can choose any address of a 64-bit network, so that network counts.
 * @param address as `addressOfNode` returns it; any other text is returned unchanged
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  const { parts } = parsed as ipaddr.IPv6;
  return `${parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
