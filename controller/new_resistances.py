"""What others say of a pack's resistance when it was new: its data sheet, else the newest passport from elsewhere. Reads files only.

    [passport] sheets, <depot>-passports.jsonl --of(pack)--> NewResistance, None where nobody says it

A file is read anew when it has changed. One that cannot be read says nothing here: whoever keeps it is told elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from bms_bridge.estimates.beside_new import NewResistance
from bms_bridge.passport import PassportError
from bms_bridge.passport.fields import BY_PATH, as_number, at
from bms_bridge.passport.foreign import aspects_of
from bms_bridge.passport.sheet import Sheets
from bms_bridge.passport.sheet import read as read_sheets
from controller.passport_shelf import Kept, kept_in
from depot.values import PackKey

log = logging.getLogger(__name__)
T = TypeVar("T")

PATH: Final = "/Performance/batteryTechicalProperties/initialInternalResistance"
_BOUNDS = BY_PATH[PATH].items[0]


class NewResistances:
    """``sheets``: None where there are none; ``kept``: passports from elsewhere, there or not."""

    def __init__(self, sheets: Path | None, kept: Path) -> None:
        self._sheets_file, self._kept_file = sheets, kept
        self._sheets, self._kept = Sheets(), dict[PackKey, list[Kept]]()
        self._seen: dict[Path, tuple[int, int]] = {}

    def of(self, pack: PackKey) -> NewResistance | None:
        """Of the whole pack; one of a cell or a module does not tell it."""
        if self._sheets_file is not None:
            self._sheets = self._anew(self._sheets_file, self._sheets, lambda path: read_sheets(path.read_bytes()))
        self._kept = self._anew(self._kept_file, self._kept, _by_pack)
        sheet = self._sheets.of(pack)
        if sheet is not None and (ohm := of_pack(sheet.values.get(PATH))) is not None:
            return NewResistance(ohm, "as its data sheet says")
        for kept in reversed(self._kept.get(pack, [])):
            if (ohm := of_pack(_said(kept.document))) is not None:
                return NewResistance(ohm, f"as a passport from elsewhere says (kept {kept.kept_at:%Y-%m-%d})")
        return None

    def _anew(self, path: Path, before: T, read: Callable[[Path], T]) -> T:
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if self._seen.get(path) == stamp:
                return before
            self._seen[path] = stamp
            return read(path)
        except FileNotFoundError:
            return before
        except (OSError, PassportError) as error:
            log.warning("%s says nothing of resistances: %s", path.name, str(error).splitlines()[0])
            return before


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


def _by_pack(path: Path) -> dict[PackKey, list[Kept]]:
    found: dict[PackKey, list[Kept]] = {}
    for kept in kept_in(path):
        found.setdefault(PackKey(kept.vehicle_id, kept.pack_id), []).append(kept)
    return found
