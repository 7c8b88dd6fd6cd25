import { describe, expect, test } from 'vitest';
import { networkProblem, networksOf, sourceOf } from '../../src/edge/address.ts';
import { clientAddress } from '../../src/edge/forwarded.ts';

test('connections of one IPv6 network count together', () => {
  for (const [address, source] of [
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0db8:1:0002:ffff::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['unknown', 'unknown'],
  ] as const)
    expect(sourceOf(address)).toBe(source);
});

describe('networks', () => {
  test('hold what is in them, however it is written', () => {
    const networks = networksOf(['10.0.0.0/8', '192.0.2.7', 'fd00::/8', '2001:db8::7']);
    for (const address of ['10.255.0.1', '::ffff:10.1.2.3', '192.0.2.7', 'fd12::1', '2001:db8:0:0:0:0:0:7'])
      expect(networks.has(address), address).toBe(true);
    for (const address of [
      '11.0.0.1',
      '192.0.2.8',
      'fe80::1%eth0',
      '2001:db8::8',
      'unknown',
      '',
      '::ffff:11.0.0.1',
    ])
      expect(networks.has(address), address).toBe(false);
  });

  test('are refused unless they are well written, and everybody is no network', () => {
    for (const text of ['10.0.0.0/8', '10.1.2.3', 'fd00::/8', '::1/128'])
      expect(networkProblem(text)).toBeNull();
    for (const text of [
      '',
      'x',
      '10.0.0.0/33',
      '10.0.0/8',
      '0.0.0.0/0',
      '::/0',
      'fd00::/129',
      '10.0.0.0/-1',
      '10.0.0.0/8 ',
    ])
      expect(networkProblem(text), text).not.toBeNull();
  });
});

describe('X-Forwarded-For', () => {
  const proxies = networksOf(['10.0.0.0/8', 'fd00::/8']);
  const by = (remote: string, header?: string) => clientAddress(remote, header, proxies);

  test('counts as far as those who wrote it are trusted', () => {
    expect(by('10.0.0.1', '203.0.113.9')).toBe('203.0.113.9');
    expect(by('::ffff:10.0.0.1', '203.0.113.9')).toBe('203.0.113.9');
    expect(by('10.0.0.1', '198.51.100.1, 203.0.113.9')).toBe('203.0.113.9');
    expect(by('10.0.0.1', '203.0.113.9, 10.2.2.2,10.3.3.3')).toBe('203.0.113.9');
    expect(by('10.0.0.1', '10.9.9.9, 10.2.2.2')).toBe('10.9.9.9');
    expect(by('fd00::1', '[2001:db8::9]:4711')).toBe('2001:db8::9');
    expect(by('10.0.0.1', '203.0.113.9:4711')).toBe('203.0.113.9');
  });

  test('is nothing from elsewhere, nor where there is none', () => {
    expect(by('203.0.113.1', '127.0.0.1')).toBe('203.0.113.1');
    expect(by('10.0.0.1')).toBe('10.0.0.1');
    expect(by('10.0.0.1', '')).toBe('10.0.0.1');
  });

  test('ends at what is no address', () => {
    for (const hop of [
      'unknown',
      '_hidden',
      '203.0.113.9.1',
      '203.0.113.9;x',
      'fe80::1%eth0',
      'a'.repeat(5000),
      '203.0.113.9:',
    ])
      expect(by('10.0.0.1', `198.51.100.1, ${hop}`), hop.slice(0, 30)).toBe('10.0.0.1');
    expect(by('10.0.0.1', Array(5000).fill('10.1.1.1').join(','))).toBe('10.1.1.1');
  });
});
