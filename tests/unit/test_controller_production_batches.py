"""Whose word on a pack's production batch counts, and that cohorts of anomalies are made by it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bms_bridge.anomalies.from_lake import Beside, batches_told
from bms_bridge.passport.fields import put
from controller.app.battery_pack_days import told_by
from controller.passport_shelf import SCHEMA, Kept, PassportShelf
from controller.settings import Settings

SHEET = """
[[battery]]
model = "EB-300"
maker = { name = "Makers", id = "MB" }
plant = { country = "India", postcode = "411057" }
[[pack]]
vehicle = "E-2"
pack = "P1"
model = "EB-300"
made_on = 2025-07-09
"""
CONFIG = """
[depot]
id = "pune"
contract_kw = 200
failsafe_kw = 80
worst_background_kw = 20
[[feeder]]
id = "A"
rating_kw = 150
[lake]
[health]
[[health.pack]]
vehicle = "E-1"
batch = "B7"
[[health.pack]]
vehicle = "E-2"
[passport]
"""
OLD = "as a passport from elsewhere says (kept 2026-05-03)"


def kept(vehicle: str, day: int, made: str) -> Kept:
    aspects: dict[str, Any] = {}
    general = "/GeneralProductInformation"
    for path, value in (
        ("manufacturerInformation/identifier", "MB"), ("manufacturingPlace/addressCountry", "India"), ("manufacturingDate", made),
    ):  # fmt: skip
        put(aspects, f"{general}/{path}", value)
    return Kept(
        schema=SCHEMA, vehicle_id=vehicle, pack_id="P1", sha256=f"{day:064x}", kept_at=datetime(2026, 5, day, tzinfo=UTC), by="mani",
        reason="x", issuer="", number="", parts=[], signed_by="", findings=[], document={"schema": "pack_passport/1", "aspects": aspects},
    )  # fmt: skip


def test_settings_then_data_sheet_then_the_newest_passport_that_tells_one(tmp_path: Path) -> None:
    (tmp_path / "sheets.toml").write_text(SHEET)
    (tmp_path / "depot.toml").write_text(CONFIG + f'sheets = "{tmp_path}/sheets.toml"\n[storage]\npath = "{tmp_path}/var"\n')
    settings = Settings.load(tmp_path / "depot.toml")
    shelf = PassportShelf(settings.passports, settings.passports_incoming)
    for vehicle, day, made in (
        ("E-1", 1, "2024-03-01"), ("E-2", 1, "2024-03-01"), ("E-3", 2, "2024-01-05"), ("E-3", 3, "2024-02-05"), ("E-3", 4, "never"),
    ):  # fmt: skip
        shelf.keep(kept(vehicle, day, made))
    shelf.close()
    found = told_by(settings)
    assert found == {
        "E-1/P1": Beside("B7"),
        "E-2/P1": Beside("MB, INDIA 411057, 2025-07", None, "as its data sheet says"),
        "E-3/P1": Beside("MB, INDIA, 2024-02", None, OLD),
    }
    told = batches_told(found, ["E-3/P1", "E-1/P1", "E-9/P1"])
    assert told == (f"E-3/P1: production batch MB, INDIA, 2024-02, {OLD}; overruled by batch in [[health.pack]]",)
    many = {f"E-{number}/P1": Beside("X", None, "so") for number in range(9)}
    assert batches_told(many, many) == ("E-0/P1, E-1/P1, E-2/P1 and 6 more: production batch X, so; overruled by batch in [[health.pack]]",)
