"""What stands where in a scenario file: the one source for the reader, the writer and the published schema.

A file is a :class:`~optimizer.problem.Problem` as JSON. Its fields stand under their own names at the top, but for those that
:data:`PLACES` puts into ``tariff`` and ``site``; feeders, vehicles, batteries and what else a problem consists of stand as objects
with their fields' names. So a field that the model learns is in the format the day it is there. :data:`ALSO` are names of the first
format that are not fields: what is derived from them, and notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SCHEMA_1 = "depot-scenario/1"
SCHEMA_2 = "depot-scenario/2"

TOP = ""
TARIFF = "tariff"
SITE = "site"
FEEDER = "feeder"
VEHICLE = "vehicle"

PLACES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "price_per_kwh": (TARIFF, "energy_per_kwh"),
        "demand_charge_per_kw": (TARIFF, "demand_charge_per_kw_horizon"),
        "demand_interval_slots": (TARIFF, "demand_interval_slots"),
        "demand_offset_slots": (TARIFF, "demand_offset_slots"),
        "demand_pieces": (TARIFF, "demand_pieces"),
        "export_price_per_kwh": (TARIFF, "export_per_kwh"),
        "co2_g_per_kwh": (TARIFF, "co2_g_per_kwh"),
        "co2_price_per_tonne": (TARIFF, "co2_price_per_tonne"),
        "currency": (TARIFF, "currency"),
        "site_limit_kw": (SITE, "limit_kw"),
        "mtd_peak_kw": (SITE, "mtd_peak_kw"),
        "export_limit_kw": (SITE, "export_limit_kw"),
        "feeders": (SITE, "feeders"),
        "storages": (SITE, "storages"),
        "caps": (SITE, "caps"),
        "limit_sources": (SITE, "limit_sources"),
    }
)
"""Fields of a problem that stand in a section, and what they are called there; all others stand at the top."""

BACKGROUND = "background_kw"
"""Stands in ``site`` as ``base_load_kw`` less ``pv_kw``."""


@dataclass(frozen=True, slots=True)
class Also:
    """A name beside the fields. ``kind``: text, number, whole, flag, level (a number, or one per slot) or note."""

    kind: str
    says: str


ALSO: Final[Mapping[str, Mapping[str, Also]]] = MappingProxyType(
    {
        TOP: {
            "schema": Also("text", "the format's name and version"),
            "seed": Also("note", "what a generated file was made from"),
            "source": Also("note", "where the numbers come from"),
            "t0_hour": Also("note", "hour of t0"),
            "note": Also("note", "for people"),
            "derived": Also("note", "figures of the file, for people"),
        },
        TARIFF: {
            "demand_interval_min": Also(
                "number", "length of a demand block in minutes, in place of demand_interval_slots; on the clock of t0"
            ),
            "demand_charge_per_kw_month": Also("note", "the month's charge, of which demand_charge_per_kw_horizon is this horizon's share"),
        },
        SITE: {
            "base_load_kw": Also("level", "what the site draws beside vehicles and batteries"),
            "pv_kw": Also("level", "what the sun gives; taken off the base load"),
        },
        FEEDER: {},
        VEHICLE: {
            "battery_kwh": Also("number", "what the battery holds when full"),
            "soc_arrival": Also("number", "its state of charge at arrival, 0 to 1"),
            "soc_target": Also("number", "and at departure"),
            "soc_reserve": Also("number", "below it the vehicle gives nothing; 0.2 unless told"),
            "v2g": Also("flag", "whether it may give, as far as v2g_kw, battery_kwh and soc_arrival are told"),
            "v2g_kw": Also("number", "most that it gives"),
            "pack_cost_per_kwh": Also("number", "price of a new pack per kWh; with pack_temp_c, soc_arrival, soc_target: calendar ageing"),
            "pack_temp_c": Also("number", "temperature of the pack while it stands, °C"),
            "soh": Also("note", "state of health, 0 to 1"),
            "type": Also("note", "kind of vehicle"),
            "phases": Also("note", "phases that it draws on"),
            "arrival_min": Also("note", "minute of its arrival; arrival_slot is what counts"),
            "departure_min": Also("note", "minute of its departure"),
            "requested_kwh": Also("note", "what a driver asked for"),
            "session_id": Also("note", "where it comes from"),
        },
    }
)

KEYS_1: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        TOP: ("id", "t0", "n_slots", "slot_minutes", "tariff", "site", "vehicles", *ALSO[TOP]),
        TARIFF: ("energy_per_kwh", "currency", "demand_charge_per_kw_horizon", "export_per_kwh", *ALSO[TARIFF]),
        SITE: ("limit_kw", "mtd_peak_kw", "feeders", "export_limit_kw", *ALSO[SITE]),
        FEEDER: ("id", "limit_kw"),
        VEHICLE: (
            "id",
            "arrival_slot",
            "departure_slot",
            "energy_kwh",
            "p_max_kw",
            "eff",
            "p_min_kw",
            "priority",
            "feeder",
            *ALSO[VEHICLE],
        ),
    }
)
"""All that the first format knows. Other keys in such a file are notes, whatever later formats call by that name."""
