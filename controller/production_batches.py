"""The production batch of a pack: as the settings say, else as its data sheet tells it, else the newest passport from elsewhere that does.

[[health.pack]] batch, data sheet, passports --batch_for--> Batch: the word by which cohorts of anomalies are made, and whose it is
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from bms_bridge.passport.batch import batch_of_sheet
from bms_bridge.passport.sheet import Sheet
from controller.passport_view import KeptPassportView

SETTINGS: Final = "as the settings say"
SHEET: Final = "as its data sheet says"


class Batch(NamedTuple):
    """``name``: "" where nobody says it; ``source``: who does, in words."""

    name: str = ""
    source: str = ""


def batch_for(settings: str, sheet: Sheet | None, passports: Sequence[KeptPassportView], *, now: datetime) -> Batch:
    """Of one pack. ``settings``: "" where they are silent; ``passports``: oldest first; ``now``: aware."""
    if settings:
        return Batch(settings, SETTINGS)
    if sheet is not None and (name := batch_of_sheet(sheet.values, now=now)):
        return Batch(name, SHEET)
    newest = next((one for one in reversed(passports) if one.batch), None)
    return Batch() if newest is None else Batch(newest.batch, f"as a passport from elsewhere says (kept {newest.kept_at:%Y-%m-%d})")
