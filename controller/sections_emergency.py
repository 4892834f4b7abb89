"""The sections ``emergency`` and ``drill`` of the settings file; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from pydantic import StringConstraints

from controller.sections import Section, setting

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class EmergencySection(Section):
    """What follows a dangerous battery beside the stop."""

    evacuation_min: float = setting(
        5.0, "Time in which everybody must have been seen. It may be shorter, never longer.", unit="min", ge=1, le=5
    )
    incident_keep_days: int = setting(3650, "How long the file of a closed incident is kept; it holds names.", unit="d", ge=30, le=36_500)


class DrillSection(Section):
    """A weekly drill. Without this section drills begin by hand alone."""

    weekday: Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"] = setting("mon", "Day on which it begins, by the depot's clock.")
    at: ClockTime = setting("10:30", "Time at which it begins, HH:MM by the depot's clock. The siren sounds for some seconds: tell people.")
    contactors: bool = setting(False, "Test contactors, too, where no session runs behind them. They cut their bays for some seconds.")
    roll_call: bool = setting(True, "Begin a roll-call. Without it nobody needs to answer, and the drill proves less.")
    remind_days: int = setting(35, "Without a drill that passed for so long there is an alarm.", unit="d", ge=1, le=400)

    @property
    def clock_time(self) -> time:
        return time.fromisoformat(self.at)
