"""A test of an output: to its emergency state and back, with its read-back, by a person. An emergency ends it at once.

begin --look--> emergency state, confirmed or not --shown for a moment--> back, confirmed or not --> passed or failed
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.output_rules import Proof, Track, word
from depot.outputs import OutputSpec

SHOWN_S: Final = 2.0
"""So long it stays in its emergency state, that people see and hear it."""

SLACK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a test ended. ``overtaken``: by an emergency, so it says nothing of the output."""

    passed: bool
    result: str
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """``switch(on)``: begin and end it. ``until(done, within_s)``: wait for the look after which it is so, no longer."""

    output: OutputSpec
    tracks: Mapping[str, Track]
    demanded: Callable[[], bool]
    switch: Callable[[bool], None]
    until: Callable[[Callable[[], bool], float], Awaitable[None]]

    async def run(self) -> Verdict:
        """There and back."""
        output = self.output
        there, back = word(output, True), word(output, False)
        try:
            self.switch(True)
            await self.until(lambda: self.demanded() or self._answered(emergency=True), output.settle_s + output.opens_after_s + SLACK_S)
            went, why = self._proof(emergency=True)
            await self.until(self.demanded, SHOWN_S)
        finally:
            self.switch(False)
        if self.demanded():
            return Verdict(False, f"it ended in an emergency, and stays {there}", overtaken=True)
        await self.until(lambda: self.demanded() or self._answered(emergency=False), output.settle_s + SLACK_S)
        came, why_back = self._proof(emergency=False)
        if went is Proof.FAILED:
            return Verdict(False, f"{there} not confirmed: {why}")
        if came is Proof.FAILED:
            return Verdict(False, f"{back} again not confirmed: {why_back}")
        if output.proven:
            return Verdict(True, f"{there} and {back} again, both confirmed")
        return Verdict(True, f"{there} and {back} again; it has no read-back, so somebody must have seen or heard it")

    def _answered(self, *, emergency: bool) -> bool:
        track = self.tracks[self.output.output_id]
        return track.commanded is emergency and track.proof is not Proof.AWAITED

    def _proof(self, *, emergency: bool) -> tuple[Proof, str]:
        """No answer in time is a failure."""
        track = self.tracks[self.output.output_id]
        return (track.proof, track.why) if self._answered(emergency=emergency) else (Proof.FAILED, "no answer in time")
