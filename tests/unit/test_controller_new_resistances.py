"""What data sheets and passports from elsewhere say of a pack when it was new, and what they cannot."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bms_bridge.passport.fields import put
from controller.new_resistances import PATH, NewResistances, of_pack
from controller.passport_shelf import SCHEMA, Kept, PassportShelf
from depot.values import PackKey

A, B = PackKey("E-101", "P1"), PackKey("E-102", "P1")
SHEET = """
[[battery]]
model = "EB-300"
resistance = [ {{ of = "{component}", ohm = {ohm} }} ]
[[pack]]
vehicle = "E-101"
pack = "P1"
model = "EB-300"
"""


def kept(pack: PackKey, ohm: object, number: int, absent: dict[str, Any] | None = None) -> Kept:
    aspects: dict[str, Any] = {}
    put(aspects, PATH, [{"ohmicResistance": 0.001, "batteryComponent": "cell"}, {"ohmicResistance": ohm, "batteryComponent": "pack"}])
    document = {"schema": "pack_passport/1", "aspects": aspects, "absent": absent or {}}
    return Kept(
        schema=SCHEMA, vehicle_id=pack.vehicle_id, pack_id=pack.pack_id, sha256=f"{number:064x}",
        kept_at=datetime(2026, 5, number, tzinfo=UTC),
        by="mani", reason="x", issuer="", number="", parts=["Performance"], signed_by="", findings=[], document=document,
    )  # fmt: skip


def shelf(folder: Path, *rows: Kept) -> Path:
    path = folder / "kept.jsonl"
    found = PassportShelf(path, folder / "in")
    for row in rows:
        found.keep(row)
    found.close()
    return path


def test_the_data_sheet_comes_first_and_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    sheets = tmp_path / "batteries.toml"
    sheets.write_text(SHEET.format(component="pack", ohm=0.06), encoding="utf-8")
    told = NewResistances(sheets, shelf(tmp_path, kept(A, 0.05, 1)))
    first = told.of(A)
    assert first is not None
    assert (first.ohm, first.source) == (0.06, "as its data sheet says")
    sheets.write_text(SHEET.format(component="cell", ohm=0.001), encoding="utf-8")
    os.utime(sheets, ns=(1, 1))
    second = told.of(A)
    assert second is not None
    assert (second.ohm, second.source) == (0.05, "as a passport from elsewhere says (kept 2026-05-01)")
    assert told.of(B) is None


def test_the_newest_passport_that_says_it_counts(tmp_path: Path) -> None:
    unknown = {PATH: {"kind": "unknown", "reason": "x"}}
    path = shelf(tmp_path, kept(A, 0.05, 1), kept(A, 0.055, 2), kept(A, 0.07, 3, unknown), kept(A, 1e308, 4))
    found = NewResistances(None, path).of(A)
    assert found is not None
    assert found.ohm == 0.055


def test_files_that_are_not_there_or_broken_say_nothing(tmp_path: Path) -> None:
    assert NewResistances(None, tmp_path / "none").of(A) is None
    broken = tmp_path / "b.toml"
    broken.write_text("[[battery", encoding="utf-8")
    assert NewResistances(broken, tmp_path / "none").of(A) is None


@pytest.mark.parametrize("rows", [None, {}, [1], [{"batteryComponent": "pack"}], [{"batteryComponent": "pack", "ohmicResistance": "low"}]])
def test_what_is_no_list_of_resistances_is_nothing(rows: object) -> None:
    assert of_pack(rows) is None
