"""What others say of a pack, on this depot's disk: its data sheet, and passports from elsewhere. Reads files only.

    [passport] sheets, <depot>-passports.jsonl --of(pack)--> Told: sheet, passports oldest first

A file is read anew when it has changed. One that cannot be read says nothing here: whoever keeps it is told elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from bms_bridge.passport import PassportError
from bms_bridge.passport.sheet import Sheet, Sheets
from bms_bridge.passport.sheet import read as read_sheets
from controller.passport_shelf import Kept, kept_in
from depot.values import PackKey

log = logging.getLogger(__name__)
T = TypeVar("T")


class Told(NamedTuple):
    """``sheet``: None without one; ``passports``: oldest first."""

    sheet: Sheet | None
    passports: Sequence[Kept]


class ToldElsewhere:
    """``sheets``: None where there are none; ``kept``: passports from elsewhere, there or not."""

    def __init__(self, sheets: Path | None, kept: Path) -> None:
        self._sheets_file, self._kept_file = sheets, kept
        self._sheets, self._kept = Sheets(), dict[PackKey, list[Kept]]()
        self._seen: dict[Path, tuple[int, int]] = {}

    def of(self, pack: PackKey) -> Told:
        """Of one pack, as the files have it now."""
        self._read()
        return Told(self._sheets.of(pack), self._kept.get(pack, ()))

    def packs(self) -> Iterable[PackKey]:
        """Of which packs anything is told."""
        self._read()
        return {*self._sheets.packs, *self._kept}

    def _read(self) -> None:
        if self._sheets_file is not None:
            self._sheets = self._anew(self._sheets_file, self._sheets, lambda path: read_sheets(path.read_bytes()))
        self._kept = self._anew(self._kept_file, self._kept, _by_pack)

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
            log.warning("%s says nothing of packs: %s", path.name, str(error).splitlines()[0])
            return before


def _by_pack(path: Path) -> dict[PackKey, list[Kept]]:
    found: dict[PackKey, list[Kept]] = {}
    for kept in kept_in(path):
        found.setdefault(PackKey(kept.vehicle_id, kept.pack_id), []).append(kept)
    return found
