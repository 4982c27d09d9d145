import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { BlockList, isIPv6 } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** @param address as sockets tell it; IPv4 may come dressed as IPv6 */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && address !== '' && loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * Cuts connections beyond the caps before a byte is read. A cap for all alone would let one address shut everybody out.
 *
 * @param isExempt addresses of which the second cap is not asked
 */
export function capConnections(
  server: Server,
  { total, perAddress, isExempt }: { total: number; perAddress: number; isExempt: (address: string) => boolean },
): void {
  const open = new Map<string, number>();
  server.maxConnections = total;
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) return;
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.on('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
    if (count > perAddress && !isExempt(address)) socket.destroy();
  });
}
