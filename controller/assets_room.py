"""The room of solar plants and stationary batteries: reads them, decides once a second, tells them.

    readings --> StorageBook (the limiter's budget) --> wish() --paid for?--> order, which reverts by itself
    readings --> PvHistory --> the plan                 Curtailment (controller.curtailment)

An order that draws more leaves only where the loop's last look has room for it; one that gives less only after the chargers were
told to do without (invariant 1). Every order lives a little longer than a charger's profile: when this process dies, what
was built on a battery's giving has ended before the giving does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from controller.alarms import Condition
from controller.asset_outlook import planned_w, storage_of
from controller.assets_view import AssetsView, battery_view, pv_view
from controller.background import STALE_S
from controller.curtailment import Curtailment, PlantRim
from controller.grants import EXPIRY_SKEW_S
from controller.loop import ControlLoop
from controller.pv_forecast import PvHistory
from controller.room import Carrier, Viewer
from controller.storage_account import FRESH_S, StorageAccount, StorageBook
from controller.storage_control import Situation, Why, wish, worth_sending
from controller.yard import Yard
from depot import events as ev
from depot.assets import AssetMode, AssetState, StorageReading, StorageSpec
from depot.commands import Command, CommandStatus, SetAssetMode
from depot.events import Envelope
from depot.values import InvalidValue, Outcome, UnknownThing
from optimizer import Storage

log = logging.getLogger(__name__)

LOOK_S = 1.0
REFRESH_S = 30.0
"""A level that holds is told again after this."""

RETRY_S = 5.0
"""What was not confirmed is told again after this."""

SHORTEST_S = 3.0
"""Between two changes that nothing urges."""

FORECAST_SLOT_S = 900
FORECAST_SLOTS = 96


class BatteryRim(Protocol):
    """A battery as the way to it shows it: :class:`grid.sunspec_assets.BatteryUnit`."""

    spec: StorageSpec
    reading: StorageReading | None
    trouble: str

    async def order(self, power_w: int, *, reversion_s: int) -> Outcome: ...


def reversion_s(life_s: float) -> int:
    """How long an order lives: longer than any charger's profile that was sent beside it."""
    return round(life_s + EXPIRY_SKEW_S + 2 * REFRESH_S)


class AssetsRoom:
    """One per depot that has assets. ``history``: of the sun."""

    def __init__(
        self,
        yard: Yard,
        loop: ControlLoop,
        *,
        batteries: Sequence[BatteryRim] = (),
        plants: Sequence[PlantRim] = (),
        history: PvHistory | None = None,
        replan: Callable[[str], None] = lambda _cause: None,
    ) -> None:
        self._yard, self._loop, self._replan = yard, loop, replan
        self._batteries = {rim.spec.asset_id: rim for rim in batteries}
        self._plants = {rim.spec.asset_id: rim for rim in plants}
        self._history = history if history is not None else PvHistory()
        self._reversion_s = reversion_s(loop.settings.life_s)
        self._pace = loop.settings.pace
        now_s = yard.clock.now().timestamp()
        self._book = loop.storages = StorageBook(
            [rim.spec for rim in batteries], now_s=now_s, reversion_s=self._reversion_s, pace=self._pace
        )
        self.ageing: Callable[[], Mapping[str, tuple[float, float]]] = dict
        """How many times as fast as the table batteries age, by chemistry, in time and by cycles."""
        self._curtailment = Curtailment(yard, plants, reversion_s=self._reversion_s, pace=self._pace)
        self._why: dict[str, Why] = dict.fromkeys(self._book.accounts, Why.NOT_READY)
        self._sent_s: dict[str, float] = {}
        self._wanted_s: dict[str, float] = {}
        self._busy: set[str] = set()
        self._held_w = 0
        self._ready: frozenset[str] = frozenset()
        self._tasks: asyncio.TaskGroup | None = None
        self.kinds = frozenset({"asset_lost"})

    # -- alarms -------------------------------------------------------------------------------------------------

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """What is silent, faulty, or takes no orders."""
        found = []
        rims: list[tuple[str, BatteryRim | PlantRim]] = [("battery", rim) for rim in self._batteries.values()]
        rims += [("solar plant", rim) for rim in self._plants.values()]
        for what, rim in rims:
            reading = rim.reading
            silent = reading is None or not self._fresh(reading.at, now.timestamp())
            faulty = reading is not None and reading.state in (AssetState.FAULT, AssetState.LOCAL)
            if silent or faulty or (rim.trouble and reading is not None):
                why = "is silent" if silent else f"is in state {reading.state.value}" if faulty and reading is not None else rim.trouble
                told = f": {', '.join(reading.alarms)}" if reading is not None and reading.alarms and not silent else ""
                found.append(Condition("asset_lost", rim.spec.asset_id, title=f"The {what} {rim.spec.asset_id} {why}{told}."))
        return found

    # -- Room ---------------------------------------------------------------------------------------------------

    @property
    def commands(self) -> Mapping[type[Command], Carrier]:
        return {SetAssetMode: self._set_mode}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {AssetsView: self._view}

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while True:
                self.look()
                await self._yard.clock.sleep(LOOK_S)

    async def _set_mode(self, command: SetAssetMode, cause: Envelope) -> tuple[CommandStatus, str]:
        rim = self._batteries.get(command.asset_id)
        if rim is None:
            raise UnknownThing(f"there is no battery {command.asset_id!r}; this depot has {', '.join(sorted(self._batteries)) or 'none'}")
        if not rim.spec.controlled:
            raise InvalidValue(f"battery {command.asset_id} takes no orders from here: its control is none in the settings")
        before = self._mode(command.asset_id)
        if before is command.mode:
            return CommandStatus.DONE, f"battery {command.asset_id} is in {command.mode.value} already"
        now = self._yard.clock.now()
        fact = ev.AssetModeSet(command.asset_id, command.mode, command.reason)
        await self._yard.journal.append([ev.NewEvent(fact, now, actor=command.actor, cause_id=cause.id)])
        self.look()
        self._replan("a battery's mode changed")
        rests = command.mode is AssetMode.STANDBY
        return CommandStatus.DONE, f"battery {command.asset_id} {'goes to 0 W and stays there' if rests else 'is the depot’s to use again'}"

    def _mode(self, asset_id: str) -> AssetMode:
        return self._yard.state.asset_modes.get(asset_id, AssetMode.AUTO)

    # -- batteries ----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take what they said, and decide."""
        now = self._yard.clock.now()
        now_s = now.timestamp()
        for asset_id, account in self._book.accounts.items():
            reading = self._batteries[asset_id].reading
            if reading is not None:
                account.read(reading)
        self._decide(now, now_s)
        self._curtailment.look(now_s, self._tasks)
        gives = [rim.reading for rim in self._plants.values() if rim.reading is not None and self._fresh(rim.reading.at, now_s)]
        if gives:
            self._history.note(now, sum(reading.gives_w for reading in gives))
        if self._book.accounts:
            held_w = self._book.held_w(now_s)
            if held_w != self._held_w:
                self._loop.wake()
            self._held_w = held_w
            self._loop.storages_heard()

    def _fresh(self, at: datetime, now_s: float) -> bool:
        return now_s - at.timestamp() <= FRESH_S * self._pace

    def _ready_now(self, account: StorageAccount, now_s: float) -> bool:
        rim = self._batteries[account.spec.asset_id]
        reading = rim.reading
        return reading is not None and account.fresh(now_s) and reading.state.usable and not rim.trouble

    def _decide(self, now: datetime, now_s: float) -> None:
        accounts = self._book.accounts
        ready = [account for account in accounts.values() if self._ready_now(account, now_s)]
        self._told_of_change(frozenset(account.spec.asset_id for account in ready))
        usable = [a for a in ready if self._mode(a.spec.asset_id) is AssetMode.AUTO]
        all_w = sum(a.grant.measured_w or 0 for a in ready)
        rating_w = sum(a.spec.discharge_w for a in usable) or 1
        fits_w, feeders_w = self._book.fits_w, dict(self._book.feeders_fit_w)
        for account in accounts.values():
            share = account.spec.discharge_w / rating_w if account in usable else 0.0
            fits_here_w = min(fits_w, feeders_w.get(account.spec.feeder_id, fits_w))
            situation = self._situation(account, now, now_s, share=share, all_w=all_w, fits_w=fits_here_w)
            level_w, why = wish(situation)
            self._why[account.spec.asset_id] = why
            taken_w = max(level_w, account.draws_bound_w(now_s))
            fits_w -= taken_w
            if account.spec.feeder_id in feeders_w:
                feeders_w[account.spec.feeder_id] -= taken_w
            if situation.ready or account.grant.told_w:
                self._tell(account, situation, level_w, now_s)

    def _situation(self, account: StorageAccount, now: datetime, now_s: float, *, share: float, all_w: int, fits_w: int) -> Situation:
        yard, spec, grant, book = self._yard, account.spec, account.grant, self._book
        site, reading = yard.site_reading, self._batteries[spec.asset_id].reading
        measured_w = grant.measured_w or 0
        site_w = None
        if site is not None and now_s - site.at.timestamp() <= STALE_S * self._pace:
            # its share of what flows beside all batteries, and itself
            site_w = round((site.power_w - all_w) * share) + measured_w if share else site.power_w
        plan = yard.plan if yard.plan is not None and now < yard.plan.expires_at else None
        says_charge, says_discharge = (None, None) if reading is None else (reading.charge_w, reading.discharge_w)
        return Situation(
            spec=spec,
            mode=self._mode(spec.asset_id),
            ready=self._ready_now(account, now_s),
            blind=yard.last is not None and yard.last.background.blind,
            soc=account.soc,
            charge_w=min(spec.charge_w, spec.charge_w if says_charge is None else says_charge),
            discharge_w=min(spec.discharge_w, spec.discharge_w if says_discharge is None else says_discharge),
            told_w=grant.told_w,
            measured_w=measured_w,
            site_w=site_w,
            plan_w=planned_w(plan, spec.asset_id, plan.slot_at(now) if plan is not None else None),
            fits_w=fits_w,
            short_w=round(book.short_w * share),
            used_w=round(book.used_w * share),
            export_w=round(yard.spec.export_limit_w * share),
            share=share,
            frozen=yard.journal.frozen,
        )

    def _told_of_change(self, ready: frozenset[str]) -> None:
        if ready != self._ready:
            for asset_id in self._ready - ready:
                log.warning("battery %s cannot be relied on (%s)", asset_id, self._batteries[asset_id].trouble or "fault, or silent")
            self._ready = ready
            self._replan("a battery came or went")

    def _tell(self, account: StorageAccount, situation: Situation, level_w: int, now_s: float) -> None:
        """Send the level where it is time, and paid for."""
        grant, asset_id = account.grant, account.spec.asset_id
        if level_w != account.wants_w:
            account.wants_w = level_w
            self._wanted_s[asset_id] = now_s
        if asset_id in self._busy:
            return
        since_s = now_s - self._sent_s.get(asset_id, -1e9)
        urgent = level_w < grant.told_w and situation.fits_w < grant.told_w
        unsure = grant.changing or grant.confirmed_w is None or now_s >= grant.confirmed_until_s
        due = since_s >= REFRESH_S * self._pace or (unsure and since_s >= RETRY_S * self._pace)
        changes = worth_sending(situation, level_w, urgent=urgent) and (urgent or since_s >= SHORTEST_S * self._pace)
        if not changes and not due:
            return
        if not changes:
            level_w = grant.told_w if not unsure or abs(level_w) > abs(grant.told_w) else level_w
        if level_w > 0 and level_w > max(situation.fits_w, 0):
            level_w = max(0, situation.fits_w)
        if level_w > grant.told_w and grant.told_w < 0 and not self._paid(asset_id):
            self._loop.wake()  # what it gives less must be off the chargers first; until then it goes on as told
            if since_s < REFRESH_S * self._pace:
                return
            level_w = grant.told_w
        self._send(account, level_w, now_s)

    def _paid(self, asset_id: str) -> bool:
        """Whether the loop has looked since the wish, and the chargers fit without what is to end."""
        return self._book.looked_s > self._wanted_s.get(asset_id, 0.0) and self._book.over_w == 0

    def _send(self, account: StorageAccount, level_w: int, now_s: float) -> None:
        asset_id, grant = account.spec.asset_id, account.grant
        if self._tasks is None:
            return
        number = grant.send(level_w, until_s=now_s + self._reversion_s, now_s=now_s)
        self._sent_s[asset_id] = now_s
        self._busy.add(asset_id)
        self._loop.wake()
        self._tasks.create_task(self._carry(account, level_w, number), name=f"battery {asset_id}")

    async def _carry(self, account: StorageAccount, level_w: int, number: int) -> None:
        asset_id = account.spec.asset_id
        try:
            outcome = await self._batteries[asset_id].order(level_w, reversion_s=self._reversion_s)
            now_s = self._yard.clock.now().timestamp()
            if outcome is Outcome.ACCEPTED:
                account.grant.accepted(number, now_s=now_s)
            elif outcome.certain:
                account.grant.refused(number)
        finally:
            self._busy.discard(asset_id)
        self._loop.wake()

    # -- what a plan is told ------------------------------------------------------------------------------------

    @property
    def pv_now_w(self) -> int:
        """What the sun gives now, by fresh readings."""
        now_s = self._yard.clock.now().timestamp()
        readings = (rim.reading for rim in self._plants.values())
        return sum(reading.gives_w for reading in readings if reading is not None and self._fresh(reading.at, now_s))

    def pv_kw(self, start_s: float, slots: int, slot_s: int) -> npt.NDArray[np.float64]:
        """What it will give, kW per slot."""
        now = self._yard.clock.now()
        if not self._plants:
            return np.zeros(slots)
        start = datetime.fromtimestamp(start_s, UTC)
        return self._history.forecast_kw(start, slots, slot_s, now=now, now_w=self.pv_now_w)

    def storages(self, feeders: Sequence[str]) -> tuple[Storage, ...]:
        """The batteries that can be planned with now."""
        now_s = self._yard.clock.now().timestamp()
        found = []
        for asset_id, account in self._book.accounts.items():
            reading = self._batteries[asset_id].reading
            if reading is not None and self._ready_now(account, now_s) and self._mode(asset_id) is AssetMode.AUTO:
                found.append(storage_of(account.spec, reading, feeders, self.ageing()))
        return tuple(storage for storage in found if storage is not None)

    # -- the view -----------------------------------------------------------------------------------------------

    async def _view(self, _args: Mapping[str, str]) -> AssetsView:
        return self.view()

    def view(self) -> AssetsView:
        """Everything, fresh."""
        now = self._yard.clock.now()
        now_s = now.timestamp()
        plan = self._yard.plan if self._yard.plan is not None and now < self._yard.plan.expires_at else None
        slot = plan.slot_at(now) if plan is not None else None
        batteries = []
        for asset_id, rim in sorted(self._batteries.items()):
            account = self._book.accounts.get(asset_id)
            told = account is not None and asset_id in self._sent_s
            credit_w = account.credit_w(now_s) if account is not None else 0
            batteries.append(
                battery_view(
                    rim.spec,
                    rim.reading,
                    now=now,
                    stale=rim.reading is None or not self._fresh(rim.reading.at, now_s),
                    mode=self._mode(asset_id).value,
                    told_w=account.grant.told_w if told and account is not None else None,
                    confirmed=account is not None and not account.grant.changing and account.grant.confirmed_w is not None,
                    plan_w=planned_w(plan, asset_id, slot),
                    because=self._why[asset_id].value if asset_id in self._why else "",
                    counted_w=account.draws_bound_w(now_s) - credit_w if account is not None else 0,
                    trouble=rim.trouble,
                )
            )
        start = datetime.fromtimestamp(now_s // FORECAST_SLOT_S * FORECAST_SLOT_S, UTC)
        forecast = self.pv_kw(start.timestamp(), FORECAST_SLOTS, FORECAST_SLOT_S) if self._plants else np.zeros(0)
        return AssetsView(
            at=now,
            pv=[
                pv_view(
                    rim.spec, rim.reading, now=now, stale=rim.reading is None or not self._fresh(rim.reading.at, now_s), trouble=rim.trouble
                )
                for _, rim in sorted(self._plants.items())
            ],
            batteries=batteries,
            forecast_from=start,
            slot_s=FORECAST_SLOT_S,
            forecast_w=[round(1000 * kw) for kw in forecast],
        )
