"""The Grid room: follows the demand block, and shows the connection as a whole.

    meter, once a second --> DemandWatch --> feedback of the utility's block, GridView, limits on the block's average
    facts, limits, link  -------------------> GridView

    person, transfer switch --> SupplyChanged --> the generator's limit for the loop (tight at once, loose when durable)

The utility's link itself is `controller.utility`'s; here it is only looked at.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from controller import limits
from controller.clock_watch import ClockWatch
from controller.demand_watch import DemandSettings, DemandWatch
from controller.failsafe_view import FailsafeView, of_clock, of_meter, of_rise, of_utility
from controller.grid_view import (
    ClockView,
    DemandView,
    GridFeeder,
    GridView,
    MeterView,
    PickupView,
    SupplyView,
    UtilityView,
    compliance_word,
    demand_view,
    limit_rows,
    utility_view,
)
from controller.history import History
from controller.loop import ControlLoop
from controller.meter_view import ToldBy, meter_told
from controller.room import Carrier, Viewer
from controller.supply import CONTACT, HAND, SILENT_S, GeneratorSettings, contact_says, limit_of, supply_of
from controller.utility import Utility, complies
from controller.yard import Yard
from depot import events as ev
from depot.commands import Command, CommandStatus, SetSupply
from depot.events import Envelope
from depot.state import SupplyFact
from depot.values import Limit, Supply
from grid.demand import DemandStatus
from grid.limit_client import LimitClient
from grid.limit_server import LimitServer
from grid.signal import ContactReading

log = logging.getLogger(__name__)

LOOK_S = 1.0


class GridRoom:
    """One per depot. ``server``: the utility's limit server once it listens, or who reads its RTU. ``clock``: who watches the
    machine's clock. ``meter``: the meter on its wire, for all that it tells beside the power. ``contact``: the newest reading
    of the transfer switch's contact, where there is one; ``closed_means``: what it says when closed."""

    def __init__(
        self,
        yard: Yard,
        loop: ControlLoop,
        history: History,
        utility: Utility | None,
        *,
        demand: DemandWatch | None = None,
        generator: GeneratorSettings | None = None,
        contact: Callable[[], ContactReading | None] | None = None,
        closed_means: Supply = Supply.GENERATOR,
        replan: Callable[[str], None] = lambda _cause: None,
    ) -> None:
        self.server: LimitServer | LimitClient | None = None
        self.clock: ClockWatch | None = None
        self.meter: ToldBy | None = None
        self._generator = generator
        self._contact = contact
        self._closed_means = closed_means
        self._replan = replan
        self._began = yard.clock.now()
        self._urgent: SupplyFact | None = None
        self._recording = False
        if generator is not None:
            loop.limit_sources["supply"] = self._supply_limits
        self._yard = yard
        self._loop = loop
        self._history = history
        self._utility = utility
        if demand is None:
            demand = DemandWatch(yard, DemandSettings(), interval_min=history.block_min, minutes=history.minutes)
        self._watch = demand
        loop.limit_sources["demand"] = demand.limits
        loop.soft_sources["demand"] = demand.soft_limits
        if utility is not None:
            utility.demand = self.demand

    # -- Room ---------------------------------------------------------------------------------------------------

    @property
    def commands(self) -> Mapping[type[Command], Carrier]:
        return {SetSupply: self._set_supply}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {GridView: self._view}

    async def run(self) -> None:
        """Take the meter's readings into the demand block, and follow the transfer switch, until cancelled."""
        while True:
            self.look()
            await self.follow_contact()
            await self._yard.clock.sleep(LOOK_S)

    def look(self) -> None:
        """Take the newest reading of the meter, once."""
        self._watch.look()

    # -- supply -------------------------------------------------------------------------------------------------

    def _facts(self) -> Mapping[str, SupplyFact]:
        """What the sources say, with what acts already and is not journaled yet."""
        facts = self._yard.state.supply
        return facts if self._urgent is None else {**facts, "urgent": self._urgent}

    def _supply_limits(self, now: datetime) -> Sequence[Limit]:
        assert self._generator is not None
        limit = limit_of(self._facts(), self._generator, now)
        return () if limit is None else (limit,)

    async def _set_supply(self, command: SetSupply, cause: Envelope) -> tuple[CommandStatus, str]:
        if self._generator is None:
            return CommandStatus.REFUSED, "this depot has no generator; declare it in a [generator] section of its file"
        before = supply_of(self._facts())
        await self._change(HAND, command.supply, command.reason, actor=command.actor, cause_id=cause.id)
        rating = f"{self._generator.rating_w / 1000:.0f} kW"
        if command.supply is Supply.GENERATOR:
            return CommandStatus.DONE, f"the site is limited to the generator's {rating}"
        if supply_of(self._yard.state.supply) is Supply.GENERATOR:
            return CommandStatus.REFUSED, f"noted, but the transfer switch still says generator: {rating} holds until it does not"
        if before is Supply.GRID:
            return CommandStatus.DONE, "the site was on the grid already"
        return CommandStatus.DONE, f"back on the grid; the generator's {rating} holds for another {self._generator.return_delay_s:.0f} s"

    async def follow_contact(self) -> None:
        """See what the transfer switch says, and record it where it says something new."""
        if self._contact is None or self._recording:
            return
        reading, now = self._contact(), self._yard.clock.now()
        says = contact_says(
            reading.at if reading is not None else None,
            reading is not None and reading.closed,
            closed_means=self._closed_means,
            started=self._began,
            now=now,
        )
        known = self._yard.state.supply.get(CONTACT)
        if says is None or (known.supply if known is not None else Supply.GRID) is says:
            return
        silent = reading is None or now - reading.at > timedelta(seconds=SILENT_S)
        reason = f"the contact is silent for {SILENT_S:.0f} s" if silent else "the transfer switch says so"
        log.warning("supply: %s, %s", says.value, reason)
        self._recording = True
        work = self._change(CONTACT, says, reason, actor="transfer switch", cause_id=None)
        self._loop.follow_up(self._recorded(work), "supply")

    async def _recorded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self._recording = False

    async def _change(self, source: str, supply: Supply, reason: str, *, actor: str, cause_id: str | None) -> None:
        now = self._yard.clock.now()
        if supply is Supply.GENERATOR:
            self._urgent = SupplyFact(supply, now, reason, actor, now)  # tight at once, recorded after
            self._loop.wake()
        await self._yard.journal.append([ev.NewEvent(ev.SupplyChanged(source, supply, reason), now, actor=actor, cause_id=cause_id)])
        self._urgent = None
        self._loop.wake()
        self._replan("the site's supply changed")

    def _supply(self, now: datetime) -> SupplyView | None:
        generator = self._generator
        if generator is None:
            return None
        facts = self._facts()
        supply = supply_of(facts)
        limit = limit_of(facts, generator, now)
        newest = max(facts.values(), key=lambda fact: fact.since, default=None)
        contact = ""
        if self._contact is not None:
            reading = self._contact()
            says = contact_says(
                reading.at if reading is not None else None,
                reading is not None and reading.closed,
                closed_means=self._closed_means,
                started=now,
                now=now,
            )
            fresh = reading is not None and now - reading.at <= timedelta(seconds=SILENT_S)
            contact = says.value if says is not None and fresh else "silent"
        return SupplyView(
            now=supply.value,
            since=newest.since if newest is not None else None,
            rating_w=generator.rating_w,
            limit_until=limit.until if limit is not None else None,
            by=newest.by if newest is not None else "",
            reason=newest.reason if newest is not None else "",
            contact=contact,
        )

    def _pickup(self, now: datetime) -> PickupView | None:
        pickup = self._loop.pickup
        waiting = pickup.waiting(now.timestamp())
        if not waiting:
            return None
        at = (datetime.fromtimestamp(seconds, now.tzinfo) for seconds in (pickup.returned_s, pickup.until_s()))
        returned_at, until = at
        return PickupView(returned_at=returned_at, until=until, waiting=waiting)

    # -- demand -------------------------------------------------------------------------------------------------

    def demand(self, now: datetime) -> DemandStatus | None:
        """The running demand block; None where nothing measures it."""
        return self._watch.status(now) if self._yard.spec.metered else None

    # -- the view -----------------------------------------------------------------------------------------------

    async def _view(self, _args: Mapping[str, str]) -> GridView:
        return self.view()

    def view(self) -> GridView:
        """Everything, fresh."""
        yard, now = self._yard, self._yard.clock.now()
        found = [*self._loop.limits_in_force(), *self._watch.soft_limits(now)]
        charging_w = sum(grant.measured_w or 0 for grant in yard.grants.values() if grant.in_session)
        last = yard.last
        background_w = last.background.now_w if last is not None else yard.spec.worst_background_w
        meter = self._meter(now)
        site_w = charging_w + background_w if meter is None or meter.power_w is None or meter.stale else meter.power_w
        feeders = [self._feeder(n, now) for n in range(len(yard.spec.feeders))]
        used_w: dict[str, int | None] = {"": site_w, **{f.feeder_id: f.power_w + f.reserved_w for f in feeders}}
        binds = limits.binding(found, "", now)
        return GridView(
            at=now,
            contract_w=yard.spec.contract_w,
            failsafe_w=yard.spec.failsafe_w,
            site_w=site_w,
            charging_w=charging_w,
            background_w=background_w,
            compliance=self._compliance(now, binds.value if binds is not None else yard.spec.contract_w),
            limits=limit_rows(found, used_w, now),
            feeders=feeders,
            demand=self._demand(now, binds.value if binds is not None else None),
            utility=self._link(),
            meter=meter,
            supply=self._supply(now),
            pickup=self._pickup(now),
            comeback=of_rise(self._loop.comeback.rise),
            failsafe=self._failsafe(),
        )

    def _failsafe(self) -> list[FailsafeView]:
        limit_w, utility = self._yard.spec.failsafe_w, self._utility
        link = None if utility is None else of_utility(utility.link, utility.policy, ahead=utility.steady.ahead())
        causes = (link, of_meter(self._loop.blind_since, limit_w), of_clock(None if self.clock is None else self.clock.verdict, limit_w))
        return [found for found in causes if found is not None]

    def _compliance(self, now: datetime, limit_w: int) -> str:
        if self._utility is not None:
            return compliance_word(self._utility.feedback().compliance)
        reading = self._yard.site_reading
        return compliance_word(complies(self._yard, None if reading is None else reading.power_w, limit_w, changed_s=math.inf))

    def _link(self) -> UtilityView | None:
        utility = self._utility
        if utility is None:
            return None
        at, ahead = utility.steady.now(), utility.steady.ahead()
        return utility_view(utility.link, utility.verdict, self.server, at=at, ahead=ahead, words=utility.trail.newest)

    def _meter(self, now: datetime) -> MeterView | None:
        yard = self._yard
        if not yard.spec.metered:
            return None
        reading, last = yard.site_reading, yard.last
        return MeterView(
            power_w=None if reading is None else reading.power_w,
            age_s=None if reading is None else (now - reading.at).total_seconds(),
            stale=reading is None or (last is not None and last.background.stale),
            blind=last is not None and last.background.blind,
            background_w=yard.spec.worst_background_w if last is None else last.background.now_w,
            worst_w=yard.spec.worst_background_w,
            told=None if self.meter is None else meter_told(self.meter, now),
        )

    def _demand(self, now: datetime, limit_w: int | None) -> DemandView:
        watch = self._watch
        status = watch.status(now)
        allowed_w = None
        if limit_w is not None and status.mean_w is not None:
            block_w = watch.allowed_w(now)
            allowed_w = min(limit_w, watch.evenly_w(limit_w, now) if block_w is None else block_w)  # it holds at every instant as well
        return demand_view(
            status,
            self._history.minutes,
            now=now,
            block_min=self._history.block_min,
            allowed_w=allowed_w,
            since=watch.known_since,
            target_w=watch.target_w,
            clock=ClockView(offset_s=watch.clock_offset_s, known=watch.clock_known, error_s=watch.settings.clock_error_s),
        )

    def _feeder(self, number: int, now: datetime) -> GridFeeder:
        yard = self._yard
        spec = yard.spec.feeders[number]
        power_w = reserved_w = connectors = charging = 0
        for key, feeder_id in yard.spec.feeder_of.items():
            if feeder_id != spec.feeder_id:
                continue
            grant = yard.grants[key]
            drawn_w = (grant.measured_w or 0) if grant.in_session else 0
            connectors += 1
            charging += drawn_w > 0
            power_w += drawn_w
            if not yard.connected(key.station_id) or grant.trust is ev.TrustLevel.DEFIANT:
                reserved_w += max(0, grant.bound_w(now.timestamp()) - drawn_w)
        binds = limits.binding(self._loop.limits_in_force(), spec.feeder_id, now)
        return GridFeeder(
            feeder_id=spec.feeder_id,
            name=spec.name or spec.feeder_id,
            power_w=power_w,
            reserved_w=reserved_w,
            limit_w=binds.value if binds is not None else spec.rating_w,
            source=binds.source.value if binds is not None else "rating",
            rating_w=spec.rating_w,
            connectors=connectors,
            charging=charging,
        )
