import assert from 'node:assert/strict';
import type { LookupAddress, LookupAllOptions, LookupOptions, lookup } from 'node:dns';
import { test } from 'node:test';
import {
  checkPublicHost,
  checkWebhookUrl,
  isPublicAddress,
  mayBePrivate,
  publicAddressOf,
  publicLookup,
} from '../../src/outgoing/addresses.ts';

test('isPublicAddress accepts only addresses of the public internet, in any notation', () => {
  for (const address of ['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '::ffff:8.8.8.8']) {
    assert.equal(isPublicAddress(address), true, address);
  }
  const special = [
    ...['127.0.0.1', '127.255.255.254', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1'],
    ...['0.0.0.0', '255.255.255.255', '224.0.0.1', '240.0.0.1', '198.18.0.1', '192.0.2.1', '203.0.113.1'],
    ...['::', '::1', '::7f00:1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', 'fe80::1', 'fec0::1', 'fd00::1', 'ff02::1'],
    ...['64:ff9b::7f00:1', '64:ff9b:1::1', '2002:7f00:1::', '2001::1', '2001:db8::1', '100::1', '3fff::1', '5f00::1'],
    ...['', 'localhost', '1.2.3', '8.8.8.8.8', 'example.org'],
  ];
  for (const address of special) assert.equal(isPublicAddress(address), false, address);
});

test('a webhook URL needs https, no password and a public host, in any notation', () => {
  const accepted = ['https://example.org/hook', 'https://8.8.8.8/', 'https://example.org:8443/a?b=c'];
  for (const url of accepted) assert.equal(checkWebhookUrl(url, false).protocol, 'https:', url);
  const refused = [
    ...['', 'example.org', 'http://example.org/', 'file:///etc/passwd', 'https://a:b@example.org/'],
    ...['https://127.0.0.1/', 'https://2130706433/', 'https://0x7f000001/', 'https://0177.0.0.1/', 'https://127.1/'],
    ...['https://[::1]/', 'https://[::ffff:7f00:1]/', 'https://[fd00::1]/', 'https://10.0.0.1:8443/'],
    ...[
      'https://localhost/',
      'https://a.localhost/',
      'https://localhost./',
      'https://printer.local/',
      'https://db.internal/',
    ],
  ];
  for (const url of refused) assert.throws(() => checkWebhookUrl(url, false), { code: 'invalid_request' }, url);
  assert.equal(checkWebhookUrl('http://127.0.0.1:8080/', true).port, '8080');
  assert.throws(() => checkWebhookUrl('ftp://127.0.0.1/', true), { code: 'invalid_request' });
});

/** A resolver that always gives these addresses. */
function resolver(addresses: LookupAddress[]) {
  return ((_: string, __: LookupAllOptions, callback: (error: null, found: LookupAddress[]) => void) =>
    callback(null, addresses)) as never;
}

function lookedUp(addresses: LookupAddress[], options: LookupOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    publicLookup(resolver(addresses))('name.example', options, (error, found) => {
      if (error) reject(error);
      else resolve(found);
    });
  });
}

test('a name resolves only if all of its addresses are public', async () => {
  const accepted = { address: '8.8.8.8', family: 4 };
  const refused = { address: '127.0.0.1', family: 4 };
  assert.deepEqual(await lookedUp([accepted], { all: true }), [accepted]);
  assert.equal(await lookedUp([accepted], {}), '8.8.8.8');
  for (const answers of [[refused], [accepted, refused], [], [{ address: '::ffff:127.0.0.1', family: 6 }]]) {
    await assert.rejects(lookedUp(answers, { all: true }), { code: 'invalid_request' });
    await assert.rejects(lookedUp(answers, {}), { code: 'invalid_request' });
  }
});

test('the address of a host is public, and private hosts are refused in any notation', async () => {
  const resolver = (...addresses: string[]) =>
    ((_host: string, _options: object, callback: (error: null, found: object[]) => void) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )) as unknown as typeof lookup;
  assert.equal(await publicAddressOf('a.example', resolver('93.184.216.34')), '93.184.216.34');
  for (const refused of [['127.0.0.1'], ['10.0.0.1'], ['93.184.216.34', '169.254.169.254'], ['::ffff:127.0.0.1']]) {
    await assert.rejects(publicAddressOf('a.example', resolver(...refused)), { code: 'invalid_request' });
  }
  for (const host of ['127.0.0.1', '10.1.2.3', '::1', 'localhost', 'ftp.internal', '169.254.169.254', '0.0.0.0']) {
    assert.throws(() => checkPublicHost(host), { code: 'invalid_request' }, host);
  }
  const spellings = [
    ...[
      '0x7f.1',
      '0X7F000001',
      '2130706433',
      '0177.0.0.1',
      '017700000001',
      '127.1',
      '127.0.1',
      '127.0.0.1.',
      '0',
      '0x0',
      '10.1',
    ],
    ...[
      '[::1]',
      '::ffff:7f00:1',
      '[::ffff:127.0.0.1]',
      '::FFFF:0A00:1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '::127.0.0.1',
      'fe80::1',
    ],
    ...[
      'LOCALHOST',
      'localhost.',
      'localhost..',
      'a.localhost',
      'localhost.localdomain',
      'printer.local.',
      'x.home.arpa',
      'db.INTERNAL',
    ],
    ...[
      '\u2460\u2461\u2466.0.0.1',
      '127\u30020\u30020\u30021',
      'lo\u00adcalhost',
      '256.1.1.1',
      '1.2.3.4.5',
      '',
      ' ',
      '::1%lo',
      'a b',
    ],
  ];
  for (const host of spellings) assert.throws(() => checkPublicHost(host), { code: 'invalid_request' }, host);
  for (const host of [
    'ftp.example.org',
    'ftp_1.example.org',
    'localhost.example.org',
    '93.184.216.34',
    '2606:4700::1111',
  ]) {
    checkPublicHost(host);
  }
  assert.equal(mayBePrivate('default', false), true);
  assert.equal(mayBePrivate('acme', false), false);
  assert.equal(mayBePrivate('acme', true), true);
});
