"""The session that charges a pack, as the depot knows it: what its charger was told, what is metered, what fits in. Reading only.

    (visit, grant, meter, state of charge when it began) --of()--> Charging, for the guard's rules

What fitted in when the session began is the battery's size less its state of charge then; a state of charge that is said later in the
session counts with what was charged until then. Without either it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

from bms_bridge.charging import Charging
from controller.yard import Yard
from depot.values import ConnectorId, PackKey

METER_FRESH_S = 30.0


@dataclass(slots=True)
class _Begun:
    """A session. ``room_wh`` None: no state of charge was said in it yet."""

    transaction_id: int
    room_wh: float | None = None


class PackCharging:
    """Asked by the guard, from memory; finds the connector of a vehicle anew when a fact has landed."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._seq = -1
        self._on: dict[str, ConnectorId] = {}
        self._begun: dict[ConnectorId, _Begun] = {}

    def of(self, pack: PackKey) -> Charging | None:
        """The session on the connector of the pack's vehicle; None: none runs."""
        yard = self._yard
        if yard.state.seq != self._seq:
            self._seq = yard.state.seq
            running = {key for key in self._yard.spec.connectors if yard.state.transaction_on(key) is not None}
            self._on = {visit.announced.vehicle_id: key for key, visit in yard.present_visits().items() if key in running}
            self._begun = {key: begun for key, begun in self._begun.items() if key in running}
        key = self._on.get(pack.vehicle_id)
        transaction = yard.state.transaction_on(key) if key is not None else None
        if key is None or transaction is None:
            return None
        grant, reading, now = yard.grants[key], yard.readings.get(key), yard.clock.now()
        fresh = reading is not None and (now - reading.received_at).total_seconds() <= METER_FRESH_S
        taken_wh = yard.session_energy_wh(key)
        # out of reach, or in between, a charger may draw what it was told before, what is on its way, or its default
        default_w = grant.default_w if grant.default_w is not None else grant.rated_w
        return Charging(
            told_w=max(grant.told_w, grant.confirmed_w or 0, default_w, *(flight.level_w for flight in grant.flights)),
            metered_w=grant.measured_w if fresh else None,
            running_s=max(0.0, (now - transaction.started_at).total_seconds()),
            taken_wh=float(taken_wh),
            room_wh=self._room_wh(key, transaction.transaction_id, taken_wh),
        )

    def _room_wh(self, key: ConnectorId, transaction_id: int, taken_wh: int) -> float | None:
        begun = self._begun.get(key)
        if begun is None or begun.transaction_id != transaction_id:
            begun = self._begun[key] = _Begun(transaction_id)
        visit, said = self._yard.visit_on(key), self._yard.soc.get(key)
        battery_wh = self._yard.battery_wh(visit) if visit is not None else 0
        if begun.room_wh is None and said is not None and visit is not None and battery_wh:
            begun.room_wh = battery_wh * (1.0 - said[0]) / visit.announced.efficiency + taken_wh
        return begun.room_wh
