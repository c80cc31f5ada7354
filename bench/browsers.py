"""Browsers that a platform sends: requests over connections that stay open, from a process of its own.

Without a rate each connection asks as soon as it is answered. With one, visits are due at even distances, and
their time counts from when they were due: a server that stalls cannot hide that by making the load wait.

    python -m bench.browsers PORT --connections 64 --seconds 10 [--rate 2000]   prints JSON
"""

import argparse
import asyncio
import json
import random
import time
from collections import deque

from bridge.sync.endpoint import GIF

TICK = 0.001  # seconds between two looks for visits that are due


class Load:
    """What is asked, and how long the answers took."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.seconds: list[float] = []
        self.failed = 0
        self.idle: deque[Browser] = deque()
        self.closed_loop = False
        self.ended = False

    def request(self) -> bytes:
        """Another browser's visit."""
        uuid = f"{self._random.getrandbits(128):032x}"
        mm_uuid = "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))
        return (
            f"GET /sync?mmuuid={mm_uuid}&dc=ewr HTTP/1.1\r\nHost: sync.partner.com\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36\r\n"
            "Accept: image/avif,image/webp,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
            "Referer: https://www.partner.com/\r\nSec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\n"
            f"Cookie: other=1; s2s_id={self._random.getrandbits(128):022x}\r\n\r\n"
        ).encode()


class Browser(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._answer = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest()

    def visit(self, due: float) -> None:
        """Ask; `due`: since when its time counts."""
        self._due, self._answer = due, b""
        self._transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._answer.endswith(GIF):
            if not self._load.ended:
                self._load.seconds.append(time.perf_counter() - self._due)
            self._rest()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._load.ended:
            self._load.failed += 1

    def _rest(self) -> None:
        if self._load.closed_loop and not self._load.ended:
            self.visit(time.perf_counter())
        else:
            self._load.idle.append(self)


async def visits(port: int, connections: int, seconds: float, rate: float, seed: int) -> dict[str, float]:
    load = Load(seed)
    load.closed_loop = not rate
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Browser(load), "127.0.0.1", port)
    if rate:
        await _at(load, rate, seconds)
    else:
        await asyncio.sleep(seconds)
    load.ended = True
    took = time.perf_counter() - began
    found = sorted(load.seconds) or [float("nan")]
    return {
        "answers": len(load.seconds),
        "seconds": took,
        "rate": len(load.seconds) / took,
        "failed": load.failed,
        "p50_ms": found[len(found) // 2] * 1000,
        "p99_ms": found[int(len(found) * 0.99)] * 1000,
        "largest_ms": found[-1] * 1000,
    }


async def _at(load: Load, rate: float, seconds: float) -> None:
    """Visits at even distances."""
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + seconds:
        while sent < (now - began) * rate and load.idle:
            load.idle.popleft().visit(began + sent / rate)
            sent += 1
        await asyncio.sleep(TICK)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0, help="visits a second; 0: as many as are answered")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(
        json.dumps(asyncio.run(visits(given.port, given.connections, given.seconds, given.rate, given.seed)))
    )
