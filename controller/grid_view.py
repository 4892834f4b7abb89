"""What the Grid page and the API show of the connection: limits, the utility's link, meter, demand block, feeders.

Shapes, and the pure pieces that fill them; `controller.grid_room` puts them together. Powers W, ages and durations
seconds, times aware UTC. ``None`` means unknown, or that there is no such thing; the docstrings say which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from controller import limits
from controller.failsafe_view import ComebackView, FailsafeView
from controller.history import Minute
from controller.meter_view import MeterTold
from controller.readmodel import Point
from depot.events import UtilityCommandAnswered
from depot.values import Limit, LimitSource, UtilityLink
from grid.demand import DemandStatus
from grid.failsafe import Verdict
from grid.limit_client import LimitClient
from grid.limit_model import AckState, Compliance, OrderReason, definition
from grid.limit_server import LimitServer

BLOCKS_MOST = 52
"""Demand blocks that the chart shows: 26 h of half hours, 13 h of quarters."""

BLOCK_COVER = 0.5
"""A past block is shown where at least this share of its minutes was measured."""

REASONS = {
    OrderReason.NONE: "", OrderReason.PEAK: "peak", OrderReason.EMERGENCY: "emergency", OrderReason.TEST: "test",
    OrderReason.MARKET: "market", OrderReason.MAINTENANCE: "maintenance",
}  # fmt: skip


class LimitRow(Struct, frozen=True, kw_only=True):
    """One limit. ``binds``: it is the lowest in its scope now. ``coming``: it begins later. ``then_w``: what holds after
    ``until``. ``free_w``: what its scope may still draw under it, by what is measured; None where that is unknown."""

    scope_id: str
    value_w: int
    source: str
    since: datetime
    until: datetime | None
    then_w: int | None
    set_by: str
    reason: str
    binds: bool
    coming: bool
    free_w: int | None
    limit_id: str = ""


class OrderView(Struct, frozen=True, kw_only=True):
    """An order of the utility. ``value_w`` None: no limit but the contract. ``reversion_w`` None with ``reverts``: the
    fail-safe limit holds after its validity. ``reason``: as the utility codes it, as a word."""

    seq: int
    value_w: int | None
    received_at: datetime
    starts_at: datetime
    until: datetime | None
    reverts: bool
    reversion_w: int | None
    ramp_s: int
    reason: str
    event_id: int
    peer: str


class CommandSeenView(Struct, frozen=True, kw_only=True):
    """The newest command on the wire. ``state``: what AckSt says, "under way" until then. ``took_s``: until it was true."""

    seq: int
    peer: str
    at: datetime
    state: str
    took_s: float | None


class MasterWord(Struct, frozen=True, kw_only=True):
    """What a master wanted over Modbus, and what came of it. ``seq`` None: writes that were refused, ``times`` of which this
    tells. ``asked``: in words, or why it was refused. ``role``: by its certificate, "" on the plain port."""

    at: datetime
    peer: str
    role: str
    seq: int | None
    outcome: str
    asked: str
    times: int
    before_w: int | None
    after_w: int | None


class UtilityView(Struct, frozen=True, kw_only=True):
    """The utility's link. ``state``: init, unlimited_ctl, limited, failsafe; ``since``: when it came into it.
    ``beat_age_s`` None: never heard. ``alive``: the heartbeat is younger than ``timeout_s``. ``refusals``: how often what
    was refused, since this controller started; ``delayed``: requests that came too fast, and waited. ``address``: where the
    server listens, "" where it does not. ``words``: what masters wanted last, newest first."""

    state: str
    since: datetime
    limit_w: int | None
    beat_age_s: float | None
    alive: bool
    timeout_s: int
    failsafe_w: int
    failsafe_min_s: int
    order: OrderView | None
    next_order: OrderView | None
    command: CommandSeenView | None
    connections: int
    requests: int
    refusals: dict[str, int]
    address: str
    delayed: int = 0
    words: list[MasterWord] = []


class MeterView(Struct, frozen=True, kw_only=True):
    """The connection-point meter. ``power_w`` None: never read. ``worst_w``: the background that counts without it. ``told``:
    all that it tells beside the power; None where it is no meter on a wire."""

    power_w: int | None
    age_s: float | None
    stale: bool
    blind: bool
    background_w: int
    worst_w: int
    told: MeterTold | None = None


class ClockView(Struct, frozen=True, kw_only=True):
    """The billing meter's clock: ahead of ours by ``offset_s``, ± ``error_s``. ``known``: entered, measured, assumed."""

    offset_s: float
    known: str
    error_s: float


class DemandView(Struct, frozen=True, kw_only=True):
    """The running demand block. ``expected_w``: its mean at the end if power stays, off by ``error_w`` as a rule. ``highest_w`` is
    of this month, but only of what was measured since ``highest_since``. ``blocks``: means of the last blocks, each at its
    beginning. ``target_w``: the month's peak target. Apparent power (``…_va``) None: the meter does not tell it."""

    begins_at: datetime
    ends_at: datetime
    left_s: float
    mean_w: int | None
    expected_w: int | None
    allowed_w: int | None
    highest_w: int
    highest_since: datetime | None
    blocks: list[Point]
    error_w: int | None = None
    mean_va: int | None = None
    predicted_va: int | None = None
    highest_va: int | None = None
    target_w: int | None = None
    clock: ClockView | None = None


class GridFeeder(Struct, frozen=True, kw_only=True):
    """One feeder of the single-line diagram. ``reserved_w``: held for connectors that can't be told now."""

    feeder_id: str
    name: str
    power_w: int
    reserved_w: int
    limit_w: int
    source: str
    rating_w: int
    connectors: int
    charging: int


class SupplyView(Struct, frozen=True, kw_only=True):
    """A site with a generator. ``now``: grid or generator. ``limit_until``: back on the grid, the limit stays until then.
    ``contact``: what the transfer switch says: "", "grid", "generator", "silent"."""

    now: str
    since: datetime | None
    rating_w: int
    limit_until: datetime | None
    by: str
    reason: str
    contact: str


class PickupView(Struct, frozen=True, kw_only=True):
    """Power came back, and vehicles begin one after the other."""

    returned_at: datetime
    until: datetime
    waiting: int


class GridView(Struct, frozen=True, kw_only=True):
    """Everything about the connection. ``utility`` None: no link is configured. ``meter`` None: no meter is. ``supply``
    None: the site has no generator. ``pickup`` None: nobody waits for the return of power. ``comeback`` None: nothing
    rises slowly. ``failsafe``: everything for which the fail-safe limit holds now.
    ``compliance``: na, ramping, compliant, not_compliant, infeasible (the block's Compl)."""

    at: datetime
    contract_w: int
    failsafe_w: int
    site_w: int
    charging_w: int
    background_w: int
    compliance: str
    limits: list[LimitRow]
    feeders: list[GridFeeder]
    demand: DemandView
    utility: UtilityView | None
    meter: MeterView | None
    supply: SupplyView | None = None
    pickup: PickupView | None = None
    comeback: ComebackView | None = None
    failsafe: list[FailsafeView] = []


def limit_rows(found: Sequence[Limit], used_w: dict[str, int | None], now: datetime) -> list[LimitRow]:
    """Every limit that holds or will hold, lowest first in each scope, the site before the feeders."""
    rows = []
    for limit in found:
        if limit.until is not None and limit.until <= now:
            continue
        after = None
        if limit.until is not None:
            later = limits.binding([x for x in found if x.limit_id != limit.limit_id], limit.scope_id, limit.until)
            after = later.value if later is not None else None
        binds = limits.binding(found, limit.scope_id, now)
        used = used_w.get(limit.scope_id)
        rows.append(
            LimitRow(
                scope_id=limit.scope_id,
                value_w=limit.value,
                source=limit.source.value,
                since=limit.from_,
                until=limit.until,
                then_w=after,
                set_by=limit.set_by,
                reason=limit.reason,
                binds=binds is not None and binds.limit_id == limit.limit_id,
                coming=limit.from_ > now,
                free_w=None if used is None else limit.value - used,
                limit_id=limit.limit_id,
            )
        )
    order = list(LimitSource)
    return sorted(rows, key=lambda row: (row.scope_id != "", row.scope_id, row.coming, row.value_w, order.index(LimitSource(row.source))))


def utility_view(
    link: UtilityLink,
    found: Verdict,
    server: LimitServer | LimitClient | None,
    *,
    at: datetime,
    ahead: timedelta,
    words: Iterable[tuple[datetime, UtilityCommandAnswered, str]] = (),
) -> UtilityView:
    """``link`` and ``at`` on the link's steady axis; ``ahead``: of the wall clock, for what is shown. ``words``: when, what,
    who; the newest last."""

    def order_view(number: int) -> OrderView | None:
        order = (link.order, link.next_order)[number]
        if order is None:
            return None
        return OrderView(
            seq=order.seq,
            value_w=order.value_w,
            received_at=order.received_at + ahead,
            starts_at=order.starts_at + ahead,
            until=None if order.until is None else order.until + ahead,
            reverts=order.reversion_limited,
            reversion_w=order.reversion_w,
            ramp_s=order.ramp_s,
            reason=REASONS.get(order.reason, "") if order.reason in list(OrderReason) else "",  # type: ignore[call-overload]  # an int that may be one
            event_id=order.event_id,
            peer=order.peer,
        )

    seen = server.newest if server is not None else None
    command = None
    if seen is not None:
        state = "under way" if seen.state is None else AckState(seen.state).name.lower()
        command = CommandSeenView(seq=seen.seq, peer=seen.peer, at=seen.received_at + ahead, state=state, took_s=seen.took_s)
    beat_age_s = None if link.beat_at is None else max(0.0, (at - link.beat_at).total_seconds())
    return UtilityView(
        state=found.state.name.lower(),
        since=link.since + ahead,
        limit_w=found.limit_w,
        beat_age_s=beat_age_s,
        alive=beat_age_s is not None and beat_age_s < link.heartbeat_timeout_s,
        timeout_s=link.heartbeat_timeout_s,
        failsafe_w=link.failsafe_w,
        failsafe_min_s=link.failsafe_min_s,
        order=order_view(0),
        next_order=order_view(1),
        command=command,
        connections=server.connections if server is not None else 0,
        requests=server.requests if server is not None else 0,
        refusals=dict(server.refusals) if server is not None else {},
        address=", ".join(server.addresses) if server is not None else "",
        delayed=server.delayed if isinstance(server, LimitServer) else 0,
        words=[_word(when + ahead, fact, actor) for when, fact, actor in reversed(list(words))],
    )


def _word(at: datetime, fact: UtilityCommandAnswered, actor: str) -> MasterWord:
    return MasterWord(
        at=at,
        peer=actor.removeprefix("modbus:"),
        role=fact.role,
        seq=fact.seq,
        outcome=fact.outcome.replace("_", " "),
        asked=fact.asked,
        times=fact.count,
        before_w=fact.before_w,
        after_w=fact.after_w,
    )


def register_model() -> dict[str, Any]:
    """Model 64900 as a SunSpec JSON definition, for whoever writes a master."""
    return definition()


def demand_view(
    status: DemandStatus,
    minutes: Iterable[Minute],
    *,
    now: datetime,
    block_min: int,
    allowed_w: int | None,
    since: datetime | None,
    target_w: int | None = None,
    clock: ClockView | None = None,
) -> DemandView:
    """``status``: of the running block. ``minutes``: of the last day; past blocks are their means."""
    block = timedelta(minutes=block_min)
    sums: dict[datetime, list[int]] = {}
    first = status.begins_at - block * BLOCKS_MOST
    for minute in minutes:
        if minute.site_w is not None and first <= minute.at < status.begins_at:
            begins_at = status.begins_at - block * (-((minute.at - status.begins_at) // block))
            sums.setdefault(begins_at, []).append(minute.site_w)
    past = [Point(at, sum(found) / len(found)) for at, found in sorted(sums.items()) if len(found) >= BLOCK_COVER * block_min]
    return DemandView(
        begins_at=status.begins_at,
        ends_at=status.ends_at,
        left_s=max(0.0, (status.ends_at - now).total_seconds()),
        mean_w=status.mean_w,
        expected_w=status.expected_w,
        allowed_w=allowed_w,
        highest_w=status.month_peak_w,
        highest_since=since,
        blocks=past,
        error_w=status.error_w,
        mean_va=status.mean_va,
        predicted_va=status.predicted_va,
        highest_va=status.month_peak_va or None,
        target_w=target_w,
        clock=clock,
    )


def compliance_word(found: Compliance) -> str:
    """The block's Compl as a word."""
    return "na" if found is Compliance.NOT_KNOWN else found.name.lower()
