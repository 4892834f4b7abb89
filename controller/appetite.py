"""What the vehicles take, learned from their chargers' meters: less than they may, nothing, one phase of three.

    MeterReading --> acceptance_w (it takes clearly less than it may), full_since (it takes nothing), phase_share

Written into the yard, read by rows, planning and views. Says nothing about obedience, which is `controller.trust`.
"""

from __future__ import annotations

from controller.grants import Grant
from controller.yard import Yard
from depot.readings import MeterReading
from depot.registry import Current
from depot.values import ConnectorId

TAKES_NOTHING_W = 300
"""Below this a vehicle does not charge."""

LOOK_AFTER_S = 5.0
"""So long after a change has settled what flows is the vehicle's choice."""


def merged(old: MeterReading | None, new: MeterReading) -> MeterReading:
    """The newest of every measurand: a sample need not carry all of them."""
    if old is None or _says_all_that(old, new):
        return new
    return MeterReading(
        new.connector,
        new.received_at,
        new.reported_at,
        new.power_w if new.power_w is not None else old.power_w,
        new.energy_wh if new.energy_wh is not None else old.energy_wh,
        new.soc if new.soc is not None else old.soc,
        new.pack_temp_c if new.pack_temp_c is not None else old.pack_temp_c,
        new.current_a if new.current_a is not None else old.current_a,
        new.voltage_v if new.voltage_v is not None else old.voltage_v,
        new.transaction_id if new.transaction_id is not None else old.transaction_id,
        exported_wh=new.exported_wh if new.exported_wh is not None else old.exported_wh,
    )


def _says_all_that(old: MeterReading, new: MeterReading) -> bool:
    """Whether ``new`` has every measurand that ``old`` has: most stations always send the same ones."""
    return not (
        (new.power_w is None and old.power_w is not None)
        or (new.energy_wh is None and old.energy_wh is not None)
        or (new.soc is None and old.soc is not None)
        or (new.pack_temp_c is None and old.pack_temp_c is not None)
        or (new.current_a is None and old.current_a is not None)
        or (new.voltage_v is None and old.voltage_v is not None)
        or (new.transaction_id is None and old.transaction_id is not None)
        or (new.exported_wh is None and old.exported_wh is not None)
    )


def forget(yard: Yard, key: ConnectorId) -> None:
    """Another vehicle, or another session: nothing is known of it."""
    yard.acceptance_w.pop(key, None)
    yard.full_since.pop(key, None)
    yard.phase_share.pop(key, None)
    yard.soc.pop(key, None)


def learn(yard: Yard, grant: Grant, reading: MeterReading) -> bool:
    """Take in a reading of a level that has settled; whether it changes what the limiter should do."""
    key, power_w = reading.connector, reading.power_w
    level_w = grant.expected_w()
    if not level_w or level_w < 0 or power_w is None or grant.measured_at_s < grant.told_at_s + grant.settle_s + LOOK_AFTER_S:
        return False
    share_before, accepts_before = yard.phase_share.get(key), yard.acceptance_w.get(key)
    expected_w = round(level_w * _phase_share(yard, key, power_w=power_w, level_w=level_w))
    spec = yard.spec.connectors[key]
    if power_w < TAKES_NOTHING_W:
        yard.acceptance_w.pop(key, None)  # nothing is said of what it would take: full, asleep, or the level is too low
        yard.full_since.setdefault(key, reading.received_at)
    else:
        yard.full_since.pop(key, None)
        if power_w < 0.85 * expected_w - 500:
            yard.acceptance_w[key] = max(spec.min_w, round(power_w * 1.1) + 1000)
        elif accepts_before is not None and power_w > 0.95 * min(expected_w, accepts_before):
            yard.acceptance_w[key] = round(accepts_before * 1.25) + 1000
            if yard.acceptance_w[key] >= spec.rated_w:
                del yard.acceptance_w[key]
    return yard.acceptance_w.get(key) != accepts_before or yard.phase_share.get(key) != share_before


def _phase_share(yard: Yard, key: ConnectorId, *, power_w: int, level_w: int) -> float:
    """Part of a three-phase level that the vehicle draws: a third or two thirds where its meter says so."""
    spec = yard.spec.connectors[key]
    if spec.current is not Current.AC or len(spec.phases) not in (0, 3):
        return 1.0
    ratio = power_w / level_w
    for phases in (1, 2):
        if abs(ratio - phases / 3) < 0.05:
            yard.phase_share[key] = phases / 3
            return phases / 3
    if ratio > 0.8:
        yard.phase_share.pop(key, None)
    return yard.phase_share.get(key, 1.0)
