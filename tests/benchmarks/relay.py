"""A TCP relay that makes loopback as slow as a wide-area network.

python -m tests.benchmarks.relay TARGET… [--rtt 50] [--rate 2M]

For each target, a port on 127.0.0.1, it listens on a port of its own, and prints these, in order, on one line. A new
connection waits one round trip, as a handshake does; then every byte comes half a round trip late, in each direction;
and each connection gets at most so many bytes a second. Slow start and lost packets are not imitated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHUNK = 16 * 1024
UNDER_WAY = 256
"""Chunks of one connection; more than rate times delay ever needs."""
NAP = 0.01
"""Seconds that a connection may be ahead of its rate: shorter sleeps only cost time of the processor."""
LOOPBACK = "127.0.0.1"
UNITS = {"k": 1024, "M": 1024**2}


class Delay:
    """One direction of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float, rate: float) -> None:
        self._reader, self._writer = reader, writer
        self._seconds, self._rate = seconds, rate
        self._flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)

    async def pump(self) -> None:
        """Carry all bytes over, and the end."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take())
            both.create_task(self._give())

    async def _take(self) -> None:
        clock = asyncio.get_running_loop().time
        free = 0.0
        while True:
            data = await self._reader.read(CHUNK)
            if self._rate and data:
                free = max(free, clock()) + len(data) / self._rate
                if (ahead := free - clock()) > NAP:
                    await asyncio.sleep(ahead)
            await self._flight.put((clock() + self._seconds, data))
            if not data:
                return

    async def _give(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await self._flight.get()
            if (early := due - clock()) > 0:
                await asyncio.sleep(early)
            if not data:
                with contextlib.suppress(OSError):
                    self._writer.write_eof()
                return
            self._writer.write(data)
            await self._writer.drain()


def connector(
    target: int, rtt: float, rate: float
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return what serves each connection to a target."""
    under_way = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio itself holds its tasks weakly.
        under_way.add(task := asyncio.current_task())
        with contextlib.suppress(OSError):
            await asyncio.sleep(rtt)
            from_target, to_target = await asyncio.open_connection(LOOPBACK, target)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(Delay(reader, to_target, rtt / 2, 0).pump())
                    both.create_task(Delay(from_target, writer, rtt / 2, rate).pump())
            except* OSError:
                pass
            finally:
                to_target.close()
        writer.close()
        under_way.discard(task)

    return serve


async def relay(targets: list[int], rtt: float, rate: float) -> None:
    """Serve until cancelled."""
    servers = [await asyncio.start_server(connector(target, rtt, rate), LOOPBACK, 0) for target in targets]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def bytes_a_second(text: str) -> float:
    """Read `2M`, in powers of 1024."""
    return float(text.rstrip("kM")) * UNITS.get(text[-1], 1)


def main() -> None:
    """Relay until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", type=int, nargs="+")
    parser.add_argument("--rtt", type=float, default=50, help="milliseconds of a round trip")
    parser.add_argument("--rate", type=bytes_a_second, default="2M", help="of each connection; 0 for no limit")
    args = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(relay(args.targets, args.rtt / 1000, args.rate))


if __name__ == "__main__":
    main()
