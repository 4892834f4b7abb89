"""Solar plants and stationary batteries over SunSpec Modbus: read about once a second, and told what to do.

    PvInverter      101–103 or 701, 160        --> PvReading          704 WMaxLimPct   <-- limit()
    BatteryUnit     701, 103 or 802; 713, 803  --> StorageReading     704 WSet         <-- order()

An order is written in three steps, so that it never holds without its end: how it reverts, then the value, then that it is
enabled, which starts the reversion timer (model 704: WSetRvrtTms, WMaxLimPctRvrtTms). It is confirmed when reading it back says
the same. A device without that timer is only looked at: a dead controller would leave its last order standing. The
controller's heartbeat (715 ControllerHb, 802 CtrlHb) is counted up with every poll where the device has one.

Powers of the 700 models are positive where the device gives (701: "positive for DER generation"); readings are the depot's way round.
"""

from __future__ import annotations

from typing import Final

from depot.assets import AssetState, PvReading, PvSpec, StorageReading, StorageSpec
from depot.ports import Clock
from depot.values import Outcome
from grid.modbus_link import LinkError, ModbusLink, Peer
from grid.sunspec import Model, SunSpecError
from grid.sunspec_device import SunSpecDevice

__all__ = ["BatteryUnit", "PvInverter"]

POLL_S: Final = 1.0
SHORTEST_POLL_S: Final = 0.05
_INVERTERS: Final = (701, 103, 102, 101)
_WATTS: Final = 1
_ENABLED: Final = 1

_PLANT_STATES: Final = {
    1: AssetState.OFF, 2: AssetState.IDLE, 3: AssetState.IDLE, 4: AssetState.RUNNING, 5: AssetState.LIMITED, 6: AssetState.OFF,
    7: AssetState.FAULT, 8: AssetState.IDLE,
}  # fmt: skip
_BATTERY_STATES: Final = {
    1: AssetState.OFF, 2: AssetState.OFF, 3: AssetState.RUNNING, 4: AssetState.IDLE, 5: AssetState.LIMITED, 6: AssetState.OFF,
    99: AssetState.FAULT,
}  # fmt: skip
_BATTERY_ALARMS: Final = {
    0: "communication error", 1: "over temperature", 3: "under temperature", 5: "over charge current", 7: "over discharge current",
    9: "over voltage", 11: "under voltage", 13: "under SoC minimum", 15: "over SoC maximum", 18: "temperature imbalance",
    20: "contactor error", 21: "fan error", 22: "ground fault", 23: "open door", 25: "other alarm", 28: "configuration",
}  # fmt: skip
_PLANT_ALARMS: Final = {
    0: "ground fault", 1: "DC over voltage", 2: "AC disconnected", 3: "DC disconnected", 4: "grid disconnected", 5: "cabinet open",
    6: "manual shutdown", 7: "over temperature", 8: "over frequency", 9: "under frequency", 10: "AC over voltage", 11: "AC under voltage",
    12: "blown string fuse", 13: "under temperature", 14: "memory loss", 15: "hardware test failure",
}  # fmt: skip


class _Unit:
    """What both have: a device, a poll, and the task around it. ``speed``: of a scaled clock. ``trouble``: why it takes no orders."""

    def __init__(self, peer: Peer, *, label: str, clock: Clock, speed: float, period_s: float) -> None:
        self.link = ModbusLink(peer, label=label)
        self.device = SunSpecDevice(self.link)
        self.trouble = "not reached yet"
        self._clock = clock
        self._period_s = max(SHORTEST_POLL_S, period_s / max(1.0, speed))

    async def run(self) -> None:
        """Poll until cancelled."""
        await self.link.keep(self._safely, period_s=self._period_s, opened=self._opened)

    async def _opened(self) -> None:
        try:
            await self.device.discover()
        except SunSpecError as error:
            raise LinkError(str(error)) from None

    async def _safely(self) -> None:
        try:
            await self._poll()
        except SunSpecError as error:
            raise LinkError(str(error)) from None

    async def _poll(self) -> None:
        raise NotImplementedError


class PvInverter(_Unit):
    """A solar plant. ``reading`` None: nothing yet."""

    def __init__(self, spec: PvSpec, peer: Peer, *, clock: Clock, speed: float = 1.0, period_s: float = POLL_S) -> None:
        super().__init__(peer, label=f"solar plant {spec.asset_id}", clock=clock, speed=speed, period_s=period_s)
        self.spec = spec
        self.reading: PvReading | None = None

    async def _poll(self) -> None:
        inverter = await self.device.read(*_INVERTERS)
        if inverter is None:
            raise SunSpecError(f"{self.link.peer}: its chain has no inverter model (101, 102, 103 or 701)")
        power = inverter.value("W")
        if power is None or abs(power) > 2 * self.spec.rated_w:
            raise SunSpecError(f"{self.link.peer}: {power} W cannot be, its rating is {self.spec.rated_w} W; check rated_kw")
        state, alarms = _plant_state(inverter)
        trackers = await self.device.read(160)
        controls = await self.device.read(704) if self.spec.curtails else None
        self.trouble = "" if not self.spec.curtails else _lacks(controls, "WMaxLimPctRvrtTms")
        limited = controls is not None and controls.raw("WMaxLimPctEna") == _ENABLED
        share = controls.value("WMaxLimPct") if limited and controls is not None else None
        energy = inverter.value("TotWhInj" if inverter.entry.model_id == 701 else "WH")
        self.reading = PvReading(
            self._clock.now(),
            max(0, round(power)),
            state,
            None if energy is None else round(energy),
            trackers.strings_w() if trackers is not None else (),
            None if share is None else share / 100,
            alarms,
        )

    async def limit(self, share: float, *, reverts_to: float, reversion_s: int) -> Outcome:
        """Give at most this share of the rating (0–1); after ``reversion_s`` without another word at most ``reverts_to``."""
        try:
            controls = await self.device.read(704)
            if controls is None or self.trouble:
                return Outcome.UNSUPPORTED
            value = controls.encoded("WMaxLimPct", 100 * share)
            back = controls.encoded("WMaxLimPctRvrt", 100 * reverts_to)
            await self.device.write(controls, "WMaxLimPctRvrt", [*back, _ENABLED, *_uint32(reversion_s)])
            await self.device.write(controls, "WMaxLimPct", value)
            await self.device.write(controls, "WMaxLimPctEna", [_ENABLED])
            now = await self.device.read(704)
        except (LinkError, SunSpecError):  # refused or unanswered: a part of it may hold
            return Outcome.UNKNOWN
        held = now is not None and now.raw("WMaxLimPctEna") == _ENABLED and now.part("WMaxLimPct") == value
        return Outcome.ACCEPTED if held else Outcome.UNKNOWN


class BatteryUnit(_Unit):
    """A stationary battery. ``reading`` None: nothing yet. ``dc_positive_gives``: what a positive power of the models other than
    701 means."""

    def __init__(
        self, spec: StorageSpec, peer: Peer, *, clock: Clock, speed: float = 1.0, period_s: float = POLL_S, dc_positive_gives: bool = True
    ) -> None:
        super().__init__(peer, label=f"battery {spec.asset_id}", clock=clock, speed=speed, period_s=period_s)
        self.spec = spec
        self.reading: StorageReading | None = None
        self._dc_sign = -1 if dc_positive_gives else 1
        self._beats = 0

    async def _poll(self) -> None:
        inverter, battery = await self.device.read(*_INVERTERS), await self.device.read(802)
        source = inverter if inverter is not None else battery
        if source is None:
            raise SunSpecError(f"{self.link.peer}: its chain has no model with a power (701, 103 or 802)")
        power = source.value("W")
        most_w = 2 * max(self.spec.charge_w, self.spec.discharge_w)
        if power is None or abs(power) > most_w:
            raise SunSpecError(f"{self.link.peer}: {power} W cannot be, its rating is {most_w // 2} W; check charge_kw and discharge_kw")
        sign = -1 if source.entry.model_id == 701 else self._dc_sign
        capacity, bank = await self.device.read(713), await self.device.read(803)
        control, remote = await self.device.read(704), await self.device.read(715)
        local = any(m is not None and m.raw("LocRemCtl") == 1 for m in (battery, remote))
        self.trouble = "it is in local control" if local else _lacks(control, "WSetRvrtTms") if self.spec.controlled else ""
        if self.spec.controlled and not self.trouble:
            await self._beat(battery, remote)
        ordered = control is not None and control.raw("WSetEna") == _ENABLED and control.raw("WSetMod") == _WATTS
        setpoint = control.value("WSet") if ordered and control is not None else None
        left = control.raw("WSetRvrtRem") if ordered and control is not None else None
        temp = bank.value("ModTmpMax") if bank is not None else None
        self.reading = StorageReading(
            self._clock.now(),
            sign * round(power),
            soc=_share(battery, capacity, "SoC"),
            soh=_share(battery, capacity, "SoH"),
            charge_w=_rate(battery, "WChaRteMax"),
            discharge_w=_rate(battery, "WDisChaRteMax"),
            state=AssetState.LOCAL if local else _battery_state(battery, capacity, inverter),
            setpoint_w=None if setpoint is None else -round(setpoint),
            reverts_s=left,
            temp_c=temp,
            alarms=_named(battery, _BATTERY_ALARMS, "Evt1") if battery is not None else (),
        )

    async def _beat(self, battery: Model | None, remote: Model | None) -> None:
        self._beats += 1
        if battery is not None and battery.raw("CtrlHb") is not None:
            await self.device.write(battery, "CtrlHb", [self._beats % 0xFFFF])
        if remote is not None and remote.raw("ControllerHb") is not None:
            await self.device.write(remote, "ControllerHb", _uint32(self._beats))

    async def order(self, power_w: int, *, reversion_s: int) -> Outcome:
        """Draw so much (negative: give) for ``reversion_s``, then 0 W unless told again. ACCEPTED: it was read back. UNKNOWN: some
        of it may hold. Everything else: it does not."""
        if not self.link.connected or not self.device.chain:
            return Outcome.OFFLINE
        try:
            control = await self.device.read(704)
            if control is None or self.trouble:
                return Outcome.UNSUPPORTED
            value, zero = control.encoded("WSet", -power_w), control.encoded("WSetRvrt", 0)
        except (LinkError, SunSpecError):
            return Outcome.ERROR
        try:
            await self.device.write(control, "WSetEnaRvrt", [_ENABLED, *_uint32(reversion_s)])
            await self.device.write(control, "WSetMod", [_WATTS, *value, *zero])
            await self.device.write(control, "WSetEna", [_ENABLED])
            now = await self.device.read(704)
        except (LinkError, SunSpecError):  # refused or unanswered: a part of it may hold
            return Outcome.UNKNOWN
        if now is None or now.raw("WSetEna") != _ENABLED or now.raw("WSetMod") != _WATTS:
            return Outcome.UNKNOWN
        same = now.part("WSet") == value and now.raw("WSetRvrtTms") == reversion_s
        return Outcome.ACCEPTED if same else Outcome.UNKNOWN


def _lacks(controls: Model | None, timer: str) -> str:
    if controls is None:
        return "its chain has no model 704"
    if controls.raw(timer) is None:
        return f"it has no reversion timer ({timer})"
    return ""


def _uint32(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def _share(battery: Model | None, capacity: Model | None, name: str) -> float | None:
    """SoC or SoH as a fraction; None where nobody tells one that can be."""
    for model in (battery, capacity):
        percent = model.value(name) if model is not None else None
        if percent is not None and 0 <= percent <= 100.5:
            return min(1.0, percent / 100)
    return None


def _rate(battery: Model | None, name: str) -> int | None:
    rate = battery.value(name) if battery is not None else None
    return None if rate is None else round(rate)


def _named(model: Model, names: dict[int, str], point: str) -> tuple[str, ...]:
    bits = model.raw(point) or 0
    return tuple(name for bit, name in names.items() if bits >> bit & 1)


def _plant_state(inverter: Model) -> tuple[AssetState, tuple[str, ...]]:
    if inverter.entry.model_id == 701:
        return _der_state(inverter), ("inverter alarm",) if inverter.raw("Alrm") else ()
    state = inverter.raw("St")
    return _PLANT_STATES.get(-1 if state is None else state, AssetState.UNKNOWN), _named(inverter, _PLANT_ALARMS, "Evt1")


def _der_state(inverter: Model) -> AssetState:
    state = inverter.raw("St")
    return AssetState.UNKNOWN if state is None else AssetState.RUNNING if state else AssetState.OFF


def _battery_state(battery: Model | None, capacity: Model | None, inverter: Model | None) -> AssetState:
    """The worst that any of its models says."""
    found = []
    if battery is not None:
        state = battery.raw("State")
        found.append(_BATTERY_STATES.get(-1 if state is None else state, AssetState.UNKNOWN))
    if capacity is not None and capacity.raw("Sta") == 2:
        found.append(AssetState.FAULT)
    if inverter is not None:
        found.append(_plant_state(inverter)[0])
    return next((state for state in found if not state.usable), found[0] if found else AssetState.UNKNOWN)
