/** Addresses from sockets and proxies are parsed to one canonical form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOfNode, networkOf } from '../../src/protocol/ip.ts';

test('a node is parsed to its canonical address without port and brackets', () => {
  const cases: [string, string | null][] = [
    ['192.0.2.1', '192.0.2.1'],
    [' 192.0.2.1 ', '192.0.2.1'],
    ['192.0.2.1:555', '192.0.2.1'],
    ['192.0.2.1:', '192.0.2.1'],
    ['192.0.2.1:_port', '192.0.2.1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:1234', '2001:db8::1'],
    ['[::1]:80', '::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:80', '192.0.2.1'],
    ['::ffff:192.0.2.1:80', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['unknown', null],
    ['unknown:80', null],
    ['_hidden', null],
    ['_hidden:_port', null],
    ['', null],
    ['192.0.2', null],
    ['192.0.2.256', null],
    ['0x7f.1', null],
    ['1', null],
    ['[192.0.2.1', null],
    ['[]:80', null],
    ['2001:db8::1::2', null],
    ['files.example.org:80', null],
    ['192.0.2.1'.padEnd(31_000), null],
    [`[${':'.repeat(31_000)}]`, null],
  ];
  for (const [node, expected] of cases) assert.equal(addressOfNode(node), expected, node.slice(0, 60));
});

test('limits count an IPv4 address or a 64-bit IPv6 network as one address', () => {
  const cases: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:ffff::2', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ];
  for (const [address, expected] of cases) assert.equal(networkOf(address), expected, address);
});
