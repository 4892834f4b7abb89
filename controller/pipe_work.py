"""A child process that is asked by frames through its pipes: the child's end.

    begin(name, niceness) ──▶ Pipes        bodies() one request after the other, until the input ends; send(frame) an answer

The child ends at the end of its input, and the kernel kills it when the core dies in any other way. What libraries print goes to
stderr; the answers have the pipe alone. The core's end is :mod:`controller.pipe_child`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from controller.logs import set_up
from controller.pipe_child import HEADER
from controller.supervisor import die_with_parent


@dataclass(frozen=True, slots=True)
class Pipes:
    """What is asked, and where answers go."""

    requests: BinaryIO
    answers: BinaryIO

    def bodies(self) -> Iterator[bytes]:
        """One request after the other; a request that is cut off by the end of the input is none."""
        while len(header := self.requests.read(HEADER.size)) == HEADER.size:
            (length,) = HEADER.unpack(header)
            body = self.requests.read(length)
            if len(body) < length:
                return
            yield body

    def send(self, frame: bytes) -> None:
        """At once."""
        self.answers.write(frame)
        self.answers.flush()


def begin(name: str, niceness: int) -> Pipes:
    """This process becomes a child of the one whose id is its first argument, nicer by ``niceness``, its log lines under ``name``."""
    set_up(name)
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the core ends this child in order
    os.nice(niceness)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return Pipes(sys.stdin.buffer, answers)
