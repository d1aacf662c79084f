import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Cidr, cidrContains, fail, ok, parseCidr, parseIp, type Result } from '#lib';

/** Says where a sink may lead. */
export type AddressGuard = {
  /** Why evidence must not go to this address and port; undefined if it may. */
  readonly refuse: (address: string, port: number) => string | undefined;
  /** Resolves a host (name or address) to the addresses that are not refused. */
  readonly resolve: (host: string, port: number) => Promise<Result<readonly string[], string>>;
  /** `dns.lookup` for connections to `port` that hands out nothing that is refused. */
  readonly lookup: (port: number) => LookupFunction;
};

/** What a guard knows. */
export type GuardOptions = {
  /** Ports of this mesh's own processes on this host. */
  readonly ownPorts: () => readonly number[];
  /** Blocks that a sink's author declared. */
  readonly allowed: readonly string[];
  readonly resolveAll?: (host: string) => Promise<readonly string[]>;
};

/**
 * SECURITY: a sink makes the control plane call whom its author names. Metadata services of clouds give credentials to
 * whoever can reach them, and the mesh's own ports trust nobody more than this host; neither is a receiver.
 */
const REFUSED: readonly (readonly [string, string])[] = [
  ['0.0.0.0/8', 'this host'],
  ['169.254.0.0/16', 'link-local, where clouds keep their metadata'],
  ['100.100.100.200/32', 'a metadata service'],
  ['168.63.129.16/32', 'a metadata service'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'broadcast'],
  ['::/128', 'this host'],
  ['fe80::/10', 'link-local'],
  ['fd00:ec2::/32', 'a metadata service'],
  ['ff00::/8', 'multicast'],
];
const REFUSED_BLOCKS = REFUSED.flatMap(([block, why]) => {
  const parsed = parseCidr(block);
  return parsed.ok ? [{ block: parsed.value, why }] : [];
});
// RFC 6052 section 2.1: an IPv4 address in the last four bytes, as a translator would reach it.
const NAT64 = parseCidr('64:ff9b::/96');

/** Creates the guard of one sink. */
export function createAddressGuard(options: GuardOptions): AddressGuard {
  const allowed = options.allowed.flatMap((text): Cidr[] => {
    const parsed = parseCidr(text);
    return parsed.ok ? [parsed.value] : [];
  });
  const resolveAll = options.resolveAll ?? resolveByDns;

  function refuse(address: string, port: number): string | undefined {
    const parsed = parseIp(address);
    if (parsed === undefined) return `\`${address}\` is not an address`;
    const ip = embeddedIpv4(parsed);
    // No declaration makes the mesh's own ports a receiver.
    if (options.ownPorts().includes(port) && isOwn(address, ip)) {
      return `port ${port} of this host is the mesh's own`;
    }
    if (allowed.some((block) => cidrContains(block, ip))) return undefined;
    const hit = REFUSED_BLOCKS.find(({ block }) => cidrContains(block, ip));
    return hit === undefined ? undefined : `${address} is ${hit.why}`;
  }

  async function resolve(host: string, port: number): Promise<Result<readonly string[], string>> {
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    const addresses = isIP(bare) === 0 ? await resolveAll(bare) : [bare];
    const refused = addresses.map((address) => refuse(address, port));
    const fit = addresses.filter((_address, i) => refused[i] === undefined);
    if (fit.length > 0) return ok(fit);
    return fail(refused[0] ?? `\`${bare}\` has no address`);
  }

  return {
    refuse,
    resolve,
    // The check is made on what is connected to, so that a name which changes its mind gains nothing.
    lookup: (port) => (hostname, options, done) => {
      const found = resolve(hostname, port).catch((error: Error) => fail(error.message));
      void found.then((result) => handOver(result, options.all === true, done));
    },
  };
}

function handOver(
  found: Result<readonly string[], string>,
  all: boolean,
  done: Parameters<LookupFunction>[2],
): void {
  if (!found.ok) return done(new Error(found.error), '', 0);
  const addresses = found.value.map((address) => ({ address, family: isIP(address) }));
  const [first] = addresses;
  if (all || first === undefined) done(null, addresses);
  else done(null, first.address, first.family);
}

function embeddedIpv4(ip: Uint8Array): Uint8Array {
  return NAT64.ok && cidrContains(NAT64.value, ip) ? ip.subarray(12) : ip;
}

function isOwn(address: string, ip: Uint8Array): boolean {
  if (ip.length === 4 && ip[0] === 127) return true;
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return (
    own.some(({ address: known }) => known === address) ||
    own.some(({ address: known }) => parseIp(known)?.toString() === ip.toString())
  );
}

function resolveByDns(host: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, found) => {
      if (error === null) resolve(found.map(({ address }) => address));
      else reject(error);
    });
  });
}
