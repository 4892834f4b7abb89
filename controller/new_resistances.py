"""What others say of a pack's resistance when it was new: its data sheet, else the newest passport from elsewhere.

ToldElsewhere --of(pack)--> NewResistance, None where nobody says it
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bms_bridge.estimates.beside_new import NewResistance
from bms_bridge.passport import PassportError
from bms_bridge.passport.fields import BY_PATH, as_number, at
from bms_bridge.passport.foreign import aspects_of
from controller.told_elsewhere import ToldElsewhere
from depot.values import PackKey

PATH: Final = "/Performance/batteryTechicalProperties/initialInternalResistance"
_BOUNDS = BY_PATH[PATH].items[0]


class NewResistances:
    """``sheets``: None where there are none; ``kept``: passports from elsewhere, there or not."""

    def __init__(self, sheets: Path | None, kept: Path) -> None:
        self._told = ToldElsewhere(sheets, kept)

    def of(self, pack: PackKey) -> NewResistance | None:
        """Of the whole pack; one of a cell or a module does not tell it."""
        sheet, passports = self._told.of(pack)
        if sheet is not None and (ohm := of_pack(sheet.values.get(PATH))) is not None:
            return NewResistance(ohm, "as its data sheet says")
        for kept in reversed(passports):
            if (ohm := of_pack(_said(kept.document))) is not None:
                return NewResistance(ohm, f"as a passport from elsewhere says (kept {kept.kept_at:%Y-%m-%d})")
        return None


def of_pack(rows: Any) -> float | None:
    """Ω of the pack of a list as the data model has it; None: not there, or it cannot be."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and row.get("batteryComponent") == "pack":
            ohm = as_number(row.get("ohmicResistance"))
            if ohm is not None and _BOUNDS.low is not None and _BOUNDS.high is not None and _BOUNDS.low <= ohm <= _BOUNDS.high:
                return ohm
    return None


def _said(document: Mapping[str, Any]) -> Any:
    """The list in it; None: not there, or what stands there is a placeholder."""
    try:
        aspects, absent = aspects_of(document)
    except PassportError:
        return None
    return None if PATH in absent else at(aspects, PATH)
