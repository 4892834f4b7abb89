"""A master that reads as fast as it is answered, in a process of its own.

    python -m benchmarks.faultkit.modbus_flooder PORT --source 127.0.0.2 --connections 4 --registers 64 --depth 16 --seconds 5

Each connection keeps ``depth`` requests under way. Prints one JSON object: answers, registers, seconds, refused connections.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import struct
import time
from dataclasses import dataclass, field

from grid.limit_model import BASE, STOP

HEADER = 7


@dataclass(eq=False)
class Stream:
    """One connection. ``ask``: the request; ``size``: of its answer."""

    sock: socket.socket
    ask: bytes
    size: int
    pending: bytearray = field(default_factory=bytearray)
    answers: int = 0

    def begin(self, depth: int) -> None:
        self.sock.sendall(self.ask * depth)

    def take(self) -> bool:
        """Take answers and ask as many again; False where the connection is over."""
        try:
            data = self.sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not data:
            return False
        self.pending += data
        count, rest = divmod(len(self.pending), self.size)
        if count:
            self.answers += count
            del self.pending[: len(self.pending) - rest]
            try:
                self.sock.sendall(self.ask * count)
            except OSError:
                return False
        return True


def flood(port: int, *, source: str, connections: int, registers: int, depth: int, seconds: float) -> dict[str, object]:
    """Read for so many seconds; what was answered."""
    address = min(BASE, STOP - registers)
    ask = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, address, registers)
    chosen, refused = selectors.DefaultSelector(), 0
    streams = []
    for _ in range(connections):
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))
        except OSError:
            refused += 1
            continue
        stream = Stream(sock, ask, HEADER + 2 + 2 * registers)
        streams.append(stream)
        chosen.register(sock, selectors.EVENT_READ, stream)
    began = time.monotonic()
    for stream in streams:
        stream.begin(depth)
    while (left_s := began + seconds - time.monotonic()) > 0 and chosen.get_map():
        for key, _ in chosen.select(left_s):
            if not key.data.take():
                refused += 1
                chosen.unregister(key.fileobj)
    took_s = time.monotonic() - began
    answers = sum(stream.answers for stream in streams)
    for stream in streams:
        stream.sock.close()
    return {"answers": answers, "registers": answers * registers, "seconds": round(took_s, 3), "refused": refused}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--source", default="127.0.0.1")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--registers", type=int, default=64)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = vars(parser.parse_args())
    print(json.dumps(flood(options.pop("port"), **options)), flush=True)


if __name__ == "__main__":
    main()
