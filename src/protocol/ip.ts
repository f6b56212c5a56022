/** Addresses of the network in one form, whoever wrote them. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Longest text that is looked at: an IPv6 address in full with a zone, brackets and a port. */
const MAX_NODE = 100;
/** `192.0.2.1:80`, `[2001:db8::1]:80` (RFC 7239 §6, RFC 3986 §3.2.2). */
const WITH_PORT = /^(?:\[([^[\]]+)\]|(?:::ffff:)?(\d+\.\d+\.\d+\.\d+))(?::[\w.-]*)?$/i;

/**
 * The address in a node of `Forwarded` or `X-Forwarded-For`, or of a socket: without brackets and port, IPv4 in IPv6 as IPv4, IPv6 in its
 * short form (RFC 5952).
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
  // A zone (`%eth0`) says on which interface of this machine it is.
  const [bare = ''] = (bracketed ?? dotted ?? text).split('%');
  const version = isIP(bare);
  if (version === 0) return null;
  return version === 4 ? bare : ipaddr.process(bare).toString();
}

/** True for the machine itself. @param address as `addressOfNode` gives it */
export function isLoopback(address: string): boolean {
  return isIP(address) !== 0 && ipaddr.process(address).range() === 'loopback';
}

/** Bits before the IPv4 address in an IPv4-mapped one (RFC 4291 §2.5.5.2). */
const MAPPED_BITS = 96;

/**
 * An address or a range, of IPv4 where it is one of IPv4 in IPv6; anything else as it is.
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
 * What counts as one address where requests are counted: an IPv6 host has a whole network of 64 bits to choose from.
 * @param address as `addressOfNode` gives it; anything else is taken as it is
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
