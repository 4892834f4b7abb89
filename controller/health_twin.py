"""Runs of the twin that people ask for: one at a time, each in a child process at low priority, so that nobody waits for it.

PackTwinStart, PackTwinAsked --TwinDesk.run()--> child (bms_bridge.estimates.twin_run) --> PackTwinRun
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bms_bridge.estimates.prospect_view import PackTwinAsked, PackTwinRun, PackTwinStart
from bms_bridge.estimates.view import PackHealthView
from depot.values import InvalidValue

PATIENCE_S: Final = 120.0
"""A run takes a second of processor, and comes after everything else that wants one."""

MOST_WAITING: Final = 4
COMMAND: Final = (sys.executable, "-m", "bms_bridge.estimates.twin_run")
NUMBERS: Final = ("ambient_c", "depth", "c_rate", "cycles_a_year", "top_soc", "until")


class TwinDesk:
    """Who asks waits for the one before. ``command``: the child."""

    def __init__(self, command: Sequence[str] = COMMAND, *, patience_s: float = PATIENCE_S) -> None:
        self._command, self._patience_s = tuple(command), patience_s
        self._turn, self._waiting = asyncio.Lock(), 0

    async def run(self, start: PackTwinStart, asked: PackTwinAsked) -> PackTwinRun:
        """The run; one that could not be made says why in ``why_not``."""
        if self._waiting >= MOST_WAITING:
            return PackTwinRun(asked, 0, "several runs of the twin wait already: try again in a minute")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._child(start, asked)
        finally:
            self._waiting -= 1

    async def _child(self, start: PackTwinStart, asked: PackTwinAsked) -> PackTwinRun:
        child = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        try:
            async with asyncio.timeout(self._patience_s):
                said, _ = await child.communicate(msgspec.json.encode({"start": start, "asked": asked}))
            return msgspec.json.decode(said, type=PackTwinRun)
        except TimeoutError:
            return PackTwinRun(asked, 0, f"the twin did not answer within {self._patience_s:.0f} s: the machine is busy; try again later")
        except (msgspec.DecodeError, BrokenPipeError, ConnectionResetError):
            return PackTwinRun(asked, 0, "the run failed; what it said stands in the log of the web process")
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await asyncio.shield(child.wait())


def start_of(found: PackHealthView) -> PackTwinStart | str:
    """What a run of the pack begins with, or why there is none."""
    prospect = found.prospect
    if prospect is None:
        return "what the pack is still good for was not reckoned yet: it comes within minutes of the first estimate of its health"
    if prospect.why_not:
        return prospect.why_not
    if prospect.twin is not None:
        return prospect.twin
    reasons = [duty.why_not for duty in prospect.duties if duty.why_not and duty.name != "present"]
    return reasons[0] if reasons else "an older version reckoned its prospects: they are reckoned anew within a week, or after a restart"


def asked_of(args: Mapping[str, str], today: PackTwinAsked | None) -> PackTwinAsked:
    """The numbers that were asked for; those that are left out are today's. InvalidValue: one is none, or is missing."""
    found = {} if today is None else {name: getattr(today, name) for name in NUMBERS}
    for name in NUMBERS:
        word = args.get(name, "")
        if word:
            try:
                found[name] = float(word)
            except ValueError:
                found[name] = math.nan
            if not math.isfinite(found[name]):
                raise InvalidValue(f"{name} must be a number, not {word[:40]!r}")
    if missing := [name for name in NUMBERS[:4] if name not in found]:
        raise InvalidValue(f"what the pack does today is not known: give {', '.join(missing)}")
    return PackTwinAsked(**found)
