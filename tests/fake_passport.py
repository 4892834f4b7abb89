"""A pack with a data sheet and a record of life, for tests of its passport. Invented; no real battery."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bms_bridge.lake import lifetime
from bms_bridge.lake.lifetime import Life
from bms_bridge.passport.assemble import Identity, assemble
from bms_bridge.passport.record import Health, Known
from bms_bridge.passport.sheet import Sheets, read
from depot.values import PackKey

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PACK = PackKey("E-103", "P1")
DAY_US = 86_400_000_000

SHEETS = b"""
[operator]
name = "Kothrud Depot"
id = "IN-KTD"
street = "Paud Road 1"
postcode = "411038"
country = "India"
email = "depot@kothrud-transport.in"

[[battery]]
model = "EB-300"
category = "ev"
mass_kg = 2100
chemistry = "LFP"
chemistry_name = "Lithium iron phosphate"
rated_energy_kwh = 300
rated_capacity_ah = 500
nominal_v = 600
minimum_v = 500
maximum_v = 680
rated_power_kw = 300
expected_cycles = 4000
expected_years = 12
efficiency_percent = 96
warranty_months = 96
maker = { name = "Makers of Batteries", id = "MB", street = "Road 2", postcode = "400001", country = "India" }
test_report = "https://makers-of-batteries.in/eb300/test.pdf"
materials = [ { part = "Anode", cas = "7782-42-5", name = "Graphite", mass_g = 300000, critical = true } ]
power = [ { soc_percent = 80, kw = 280 }, { soc_percent = 20, kw = 220 } ]

[battery.carbon]
kg_per_kwh = 0.08
class = "B"
stages = [
  { stage = "RawMaterialExtraction", value = 40 },
  { stage = "MainProduction", value = 50 },
  { stage = "Distribution", value = 6 },
  { stage = "Recycling", value = 4 },
]

[[pack]]
vehicle = "E-103"
pack = "P1"
model = "EB-300"
serial = "EB300-0007"
made_on = 2024-03-01
in_service_on = 2024-06-15
status = "Original"
"""


def sheets() -> Sheets:
    return read(SHEETS)


def record(**more: Any) -> dict[str, Any]:
    """Two hundred full cycles in sixteen months, some of it in heat, one trip."""
    life = Life(
        first_us=int(datetime(2025, 7, 1, tzinfo=UTC).timestamp() * 1e6), last_us=int(NOW.timestamp() * 1e6), samples=500_000,
        seen_s=3_000 * 3600.0, unseen_s=9_000 * 3600.0, charge_in_ah=100_000.0, charge_out_ah=98_000.0,
        energy_in_wh=61_000_000.0, energy_out_wh=58_000_000.0,
    )  # fmt: skip
    life.temperature_s[0], life.temperature_s[3], life.temperature_s[6], life.temperature_s[7] = 600.0, 9_000_000.0, 7_200.0, 1_800.0
    life.charging_temperature_s[3], life.charging_temperature_s[6] = 900_000.0, 3_600.0
    life.hot_events = [2, 0, 0, 0]
    life.months = [lifetime.Month("2026-11", soh=0.93)]
    lifetime.tripped(life, int(NOW.timestamp() * 1e6) - DAY_US, "cell_hot", 7)
    return lifetime.shown(life, 300_000) | more


def known(**more: Any) -> Known:
    """Everything that the depot can know today."""
    health = Health(0.92, NOW, "charge between two rests", 0.89, 0.95, 0.9)
    given: dict[str, Any] = {"record": record(), "health": health, "soc": 0.7, "soc_at": NOW, "rated_ah": 500.0}
    return Known(**(given | more))


def passport(**more: Any) -> dict[str, Any]:
    """The owner's copy."""
    found = sheets()
    identity = Identity("kothrud", "urn:chargeyard:0123456789abcdef", "p3f0c", "https://charge.kothrud-transport.in/passport/abc")
    return assemble(
        identity,
        known(**more),
        now=NOW,
        sheet=found.of(PACK),
        operator=found.operator,
        operator_email=found.operator_email,
        chemistry="LFP",
    )
