"""What a charger says of a battery, as a sample with less certainty.

Many DC chargers pass on the state of charge and one temperature that the vehicle told them (OCPP measurands ``SoC`` and
``Temperature`` at location ``EV``). One number, of a sensor that nobody knows, rounded and delayed: it may trip and derate
as any other, but :data:`UNCERTAINTY_K` is added to it before it derates, and it never counts as the four temperatures that a
pack must have. Voltage and current of the outlet are left out: they are not the battery's.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.contract import PackSample, Source
from depot.readings import MeterReading
from depot.values import PackKey

UNCERTAINTY_K: Final = 3.0


def sample_of(pack: PackKey, reading: MeterReading) -> PackSample | None:
    """The sample in ``reading`` of the connector that ``pack``'s vehicle is on; None where it says nothing of a battery, or
    tells of the past (replayed from an offline queue)."""
    if reading.replayed or (reading.soc is None and reading.pack_temp_c is None):
        return None
    return PackSample(
        pack=pack,
        source=Source.OCPP,
        received_at=reading.received_at,
        reported_at=reading.reported_at,
        temperatures_c=() if reading.pack_temp_c is None else (reading.pack_temp_c,),
        soc=reading.soc,
        uncertainty_c=UNCERTAINTY_K,
    )
