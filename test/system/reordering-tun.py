# A line that keeps packets for a while, each for its own, so that later ones overtake earlier ones: what `tc netem` does
# where a kernel has it. A TUN device whose far end is this program: what is sent to 10.77.0.2 comes back from there, so both
# ends of a connection are on this machine and every packet of either passes here. Runs as root in a network namespace of the
# test's own. `reordering-tun.py SEED DELAY_MS JITTER_MS`; says `up`, and on the end of its input how much it did.
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
IPV4 = 4

seed, delay_ms, jitter_ms = (int(word) for word in sys.argv[1:4])
chance = random.Random(seed)
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"reorder0", IFF_TUN | IFF_NO_PI))
for command in ("addr add 10.77.0.1/24 dev reorder0", "link set reorder0 up"):
    subprocess.run(["ip", *command.split()], check=True)
print("up", flush=True)

held = []
packets = overtaken = newest = 0
while True:
    wait = max(0.0, held[0][0] - time.monotonic()) if held else None
    ready, _, _ = select.select([tun, sys.stdin], [], [], wait)
    now = time.monotonic()
    while held and held[0][0] <= now:
        _, number, packet = heapq.heappop(held)
        overtaken += number < newest
        newest = max(newest, number)
        os.write(tun, packet)
    if tun in ready:
        packet = bytearray(os.read(tun, 65536))
        if packet[0] >> 4 == IPV4:
            # Checksums are sums: they stay right when both addresses change places.
            packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
            packets += 1
            due = now + (delay_ms + chance.uniform(0, jitter_ms)) / 1000
            heapq.heappush(held, (due, packets, bytes(packet)))
    if sys.stdin in ready and not sys.stdin.read(1):
        print(f"{packets} {overtaken}", flush=True)
        sys.exit(0)
