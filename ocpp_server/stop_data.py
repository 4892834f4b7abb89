"""The transactionData of a StopTransaction: the last register in it, and values that a meter signed. Pure.

A station that leaves out ``meterStop``, or says 0, often tells the register here. Signed values
(format ``SignedData``) are kept as they are: they prove a bill, and only the meter's maker can read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from depot.events import SignedReading
from ocpp_server.meter_values import ENERGY, read_samples
from ocpp_server.skew import parse_time

SIGNED_MOST = 8
"""So many signed values of one transaction are kept: its first and its last ones."""
SIGNED_LENGTH = 8192
"""A longer value is left out: cut, it would prove nothing."""


@dataclass(frozen=True, slots=True)
class StopData:
    """``register_wh``: the last one, Wh as the station labels it; None: there is none."""

    register_wh: int | None = None
    signed: tuple[SignedReading, ...] = ()


def read_stop_data(meter_values: Sequence[Mapping[str, Any]], rejected: Counter[str]) -> StopData:
    """What a checked ``transactionData`` says; what cannot be read is counted in ``rejected``."""
    registers = [sample.energy_wh for sample in read_samples(meter_values, rejected) if sample.energy_wh is not None]
    signed = []
    for entry in meter_values:
        at = parse_time(entry.get("timestamp"))
        for value in entry["sampledValue"]:
            if value.get("format") != "SignedData":
                continue
            if len(value["value"]) > SIGNED_LENGTH:
                rejected["signed_value_too_long"] += 1
                continue
            context, measurand = value.get("context", "Sample.Periodic"), value.get("measurand", ENERGY)
            signed.append(SignedReading(at, context, measurand, value["value"]))
    if len(signed) > SIGNED_MOST:
        signed = signed[: SIGNED_MOST // 2] + signed[-SIGNED_MOST // 2 :]
    last_wh = registers[-1] if registers else None
    return StopData(None if last_wh is None or last_wh < 0 else round(last_wh), tuple(signed))
