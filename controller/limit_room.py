"""The room of the limit arbiter: schedules, demand-response events and the override as limits, and who bound when.

    people, machines --> facts of the limit book --> limits for the loop (ControlLoop.limit_sources), known to the planner ahead
    all limits of the loop --> the override lifts some of them for a while (ControlLoop.override)
    once a second: who binds now --> facts, paced (controller.limit_watch); events that are over --> their result

The least of all limits binds; nothing here decides that, it is `controller.limits`' alone. What loosens (an override, a schedule
removed, an event withdrawn) takes effect when it is durable; the end of an override acts first and is recorded after (invariant 4).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from controller import arrangements, limit_watch, limits
from controller.alarms import Condition
from controller.arrangements import Arranged, check_scope
from controller.history import Minute
from controller.limit_book_view import (
    LimitBookView,
    LimitHistoryView,
    OverrideRulesRow,
    connector_row,
    event_row,
    forgotten,
    history_row,
    manual_row,
    override_row,
    schedule_row,
    steps_of,
)
from controller.limit_records import KINDS, LimitRecords
from controller.loop import ControlLoop
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.limit_book import DemandEvent, EventPhase, LimitBook, LimitOverride, LimitSchedule
from depot.values import DepotError, InvalidValue, Limit, LimitSource, ScopeKind, UnknownThing
from grid.limit_model import Alarm

log = logging.getLogger(__name__)

LOOK_S = 1.0
AHEAD = timedelta(hours=48)
"""What people see of the limits to come."""
REARRANGED_EVERY = timedelta(minutes=1)
SCHEDULES_MOST = 200
EVENTS_MOST = 100
"""Events to come and running at once."""
LONGEST_EVENT = timedelta(days=7)
FURTHEST = timedelta(days=400)
MEASURED_AFTER = timedelta(seconds=90)
"""An event's last minute is closed by then."""
HISTORY_PAGE, HISTORY_MOST = 50, 500
OVERRIDES_SHOWN = 20
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:-]{0,63}")

Done = tuple[CommandStatus, str]


@dataclass(frozen=True, slots=True)
class OverrideRules:
    """What the site's settings allow. ``most_w`` None: as far as all other limits go."""

    allowed: bool = False
    sources: tuple[LimitSource, ...] = (LimitSource.MANUAL, LimitSource.SCHEDULE, LimitSource.DEMAND_RESPONSE)
    most_w: int | None = None
    longest: timedelta = timedelta(hours=1)
    second_person: bool = False


class LimitRoom:
    """One per depot. ``minutes``: the meter's minute means since a time, oldest first (may block). ``records`` None: nothing is kept
    that could be looked up. ``remind``: after so long a manual limit without an end is an alarm; zero: never."""

    kinds: frozenset[str] = frozenset({"limits_overridden", "limit_forgotten"})

    def __init__(
        self,
        yard: Yard,
        loop: ControlLoop,
        *,
        rules: OverrideRules | None = None,
        remind: timedelta = timedelta(hours=24),
        minutes: Callable[[datetime], Sequence[Minute]] = lambda _since: (),
        records: LimitRecords | None = None,
        replan: Callable[[str], None] = lambda _cause: None,
    ) -> None:
        self._yard = yard
        self._loop = loop
        self._rules = rules if rules is not None else OverrideRules()
        self._remind = remind
        self._minutes = minutes
        self._records = records
        self._replan = replan
        self._zone = ZoneInfo(yard.spec.timezone)
        self._pace = limit_watch.Pace()
        self._arranged: tuple[LimitBook | None, datetime, list[Arranged], dict[str, datetime]] = (None, yard.clock.now(), [], {})
        self._ended = ""
        """The override that a person has just ended: it acts before it is recorded."""
        loop.limit_sources["limit book"] = self.limits
        loop.override = self.overridden
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.SetLimitSchedule: self._set_schedule,
            cmd.RemoveLimitSchedule: self._remove_schedule,
            cmd.AnnounceDemandEvent: self._announce,
            cmd.CancelDemandEvent: self._cancel,
            cmd.OptOutOfDemandEvent: self._opt_out,
            cmd.OverrideLimits: self._begin_override,
            cmd.EndOverride: self._end_override,
        }
        self.views: Mapping[type[Struct], Viewer] = {LimitBookView: self._view, LimitHistoryView: self._history}

    @property
    def _book(self) -> LimitBook:
        return self._yard.state.limit_book

    # -- what holds -------------------------------------------------------------------------------------------------

    def limits(self, now: datetime) -> Sequence[Limit]:
        """Limits of schedules and events, now and for two days."""
        self._arrange(now)
        return [found.limit for found in self._arranged[2]]

    def _arrange(self, now: datetime) -> None:
        book, at, _, _ = self._arranged
        new = self._book
        same = book is not None and book.schedules is new.schedules and book.events is new.events
        if not (same and at <= now < at + REARRANGED_EVERY):
            found = arrangements.arranged(new, now, self._zone)
            self._arranged = (new, now, found, {each.limit.limit_id: each.set_at for each in found})

    def overridden(self, found: list[Limit], now: datetime) -> list[Limit]:
        """The limits with the override in them, as far as the settings still allow it."""
        override = self.override(now)
        if override is None:
            return found
        return arrangements.lifted(found, override, self._arranged[3])

    def override(self, now: datetime) -> LimitOverride | None:
        """The override that holds."""
        override, rules = self._book.override(now), self._rules
        if override is None or not rules.allowed or override.override_id == self._ended:
            return None
        sources = tuple(source for source in override.sources if source in rules.sources)
        if not sources:
            return None
        value_w = override.value_w if rules.most_w is None else min(override.value_w, rules.most_w)
        until = min(override.until, override.starts_at + rules.longest)
        return None if until <= now else replace(override, value_w=value_w, sources=sources, until=until)

    def told_utility(self) -> Alarm:
        """The utility is told that its or the site's own limits are overridden by a person here."""
        return Alarm(0) if self.override(self._yard.clock.now()) is None else Alarm.LOCAL_OVERRIDE

    def everything(self, now: datetime) -> list[Limit]:
        """Every limit of every scope, those too that stations told."""
        return [*self._loop.limits_in_force(), *arrangements.external(self._yard.state.smart_charging, now)]

    # -- once a second ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Record who binds, and how events went, until cancelled."""
        while True:
            await self.look()
            await self._yard.clock.sleep(LOOK_S)

    async def look(self) -> None:
        """One look."""
        now = self._yard.clock.now()
        if self._yard.journal.frozen:
            return
        feeders = [feeder.feeder_id for feeder in self._yard.spec.feeders]
        facts = limit_watch.changes(self._book, self.everything(now), feeders, now, self._pace)
        facts += await self._results(now)
        if facts:
            await self._yard.journal.append([ev.NewEvent(fact, now) for fact in facts])

    async def _results(self, now: datetime) -> list[ev.Event]:
        due = [e for e in self._book.events.values() if e.result is None and e.starts_at < e.stopped_at <= now - MEASURED_AFTER]
        if not due:
            return []
        minutes = await asyncio.to_thread(self._minutes, min(e.starts_at for e in due))
        return [ev.DemandEventMeasured(e.event_id, limit_watch.result_of(e, minutes)) for e in due]

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """What people should know loudly: an override, a manual limit that nobody has lifted."""
        out = []
        override = self.override(now)
        if override is not None:
            words = f"{override.by} lets the load rise to {_kw(override.value_w)} until {self._clock(override.until)}: {override.reason}"
            out.append(Condition("limits_overridden", "", words))
        for limit in self._yard.state.limits.values():
            if forgotten(limit, now, self._remind):
                words = (
                    f"{limit.scope_id or 'The site'} is limited to {_kw(limit.value)} by {limit.set_by} since {self._clock(limit.from_)}"
                )
                out.append(Condition("limit_forgotten", limit.limit_id.removeprefix("manual:") or "site", words))
        return out

    # -- schedules --------------------------------------------------------------------------------------------------

    async def _set_schedule(self, command: cmd.SetLimitSchedule, cause: ev.Envelope) -> Done:
        now = self._yard.clock.now()
        check_id(command.schedule_id)
        check_scope(self._yard.spec, command.scope_id)
        _need_reason(command)
        schedule = LimitSchedule(
            command.schedule_id, command.scope_id, command.value_w, command.reason, command.actor, now, command.weekly, command.once
        )
        once = schedule.once
        if once is not None and not now < once.ends_at <= now + FURTHEST:
            raise InvalidValue(f"a limit that comes once ends later than now and within {FURTHEST.days} days")
        if schedule.weekly is not None and schedule.weekly.last_day is not None and schedule.weekly.last_day < self._today(now):
            raise InvalidValue(f"the schedule's last day, {schedule.weekly.last_day}, is over")
        if len(self._book.schedules) >= SCHEDULES_MOST and schedule.schedule_id not in self._book.schedules:
            raise DepotError(f"there are {SCHEDULES_MOST} schedules already; remove one first")
        await self._append(cause, ev.LimitScheduleSet(schedule))
        coming = min(arrangements.scheduled(schedule, now, self._zone), key=lambda limit: limit.from_, default=None)
        when = "not within two days" if coming is None else f"next {self._clock(coming.from_)}"
        return (
            CommandStatus.DONE,
            f"{command.scope_id or 'site'} limited to {_kw(command.value_w)} by schedule {command.schedule_id}, {when}",
        )

    async def _remove_schedule(self, command: cmd.RemoveLimitSchedule, cause: ev.Envelope) -> Done:
        if command.schedule_id not in self._book.schedules:
            return CommandStatus.DONE, f"there is no schedule {command.schedule_id}"
        await self._append(cause, ev.LimitScheduleRemoved(command.schedule_id, command.reason))
        return CommandStatus.DONE, f"schedule {command.schedule_id} is removed"

    # -- demand-response events -------------------------------------------------------------------------------------

    async def _announce(self, command: cmd.AnnounceDemandEvent, cause: ev.Envelope) -> Done:
        now = self._yard.clock.now()
        check_id(command.event_id)
        known = self._book.events.get(command.event_id)
        if known is not None and known.ends_at <= now:
            raise DepotError(f"event {command.event_id} is over; a new one needs another id")
        if not command.programme or len(command.programme) > 64:
            raise InvalidValue("an event names its programme, with at most 64 characters")
        if not now < command.ends_at <= now + FURTHEST or command.ends_at - command.starts_at > LONGEST_EVENT:
            raise InvalidValue(f"an event ends later than now, within {FURTHEST.days} days, and lasts at most {LONGEST_EVENT.days} days")
        running = [e for e in self._book.events.values() if e.phase(now) in (EventPhase.ANNOUNCED, EventPhase.ACTIVE)]
        if len(running) >= EVENTS_MOST and known is None:
            raise DepotError(f"{EVENTS_MOST} events are announced already")
        baseline_w = command.baseline_w
        if command.reduction_w is not None and baseline_w is None:
            baseline_w = await self._baseline(command, now)
        event = DemandEvent(
            command.event_id, command.programme, command.issued_at or now, command.starts_at, command.ends_at, command.channel,
            command.actor, now, command.reason, command.limit_w, command.reduction_w, None if command.limit_w is not None else baseline_w,
        )  # fmt: skip
        await self._append(cause, ev.DemandEventAnnounced(event))
        times = f"{self._clock(event.starts_at)} to {self._clock(event.ends_at)}"
        return CommandStatus.DONE, f"event {event.event_id}: the site is limited to {_kw(event.allowed_w)}, {times}"

    async def _baseline(self, command: cmd.AnnounceDemandEvent, now: datetime) -> int:
        minutes = await asyncio.to_thread(self._minutes, now - timedelta(days=limit_watch.BASELINE_BACK + 1))
        others = [e for e in self._book.events.values() if e.event_id != command.event_id]
        found = limit_watch.baseline_w(minutes, command.starts_at, command.ends_at, others)
        if found is None:
            raise DepotError("too little was measured at these hours of the last days: say the baseline that the programme counts from")
        return found

    async def _cancel(self, command: cmd.CancelDemandEvent, cause: ev.Envelope) -> Done:
        return await self._withdraw(command.event_id, EventPhase.CANCELLED, command.reason, cause)

    async def _opt_out(self, command: cmd.OptOutOfDemandEvent, cause: ev.Envelope) -> Done:
        _need_reason(command)
        return await self._withdraw(command.event_id, EventPhase.OPTED_OUT, command.reason, cause)

    async def _withdraw(self, event_id: str, how: EventPhase, reason: str, cause: ev.Envelope) -> Done:
        known = self._book.events.get(event_id)
        if known is None:
            raise UnknownThing(f"there is no event {event_id}: GET /api/v1/demand-response/events lists all")
        phase = known.phase(self._yard.clock.now())
        if phase not in (EventPhase.ANNOUNCED, EventPhase.ACTIVE):
            return CommandStatus.DONE, f"event {event_id} does not hold any more: it is {phase.value.replace('_', ' ')}"
        await self._append(cause, ev.DemandEventWithdrawn(event_id, how, reason))
        return CommandStatus.DONE, f"event {event_id} is {how.value.replace('_', ' ')}; its limit is gone"

    # -- override ---------------------------------------------------------------------------------------------------

    async def _begin_override(self, command: cmd.OverrideLimits, cause: ev.Envelope) -> Done:
        now, rules = self._yard.clock.now(), self._rules
        if not rules.allowed:
            raise DepotError("this site allows no override; its settings file can, in the section [override]")
        _need_reason(command)
        check_scope(self._yard.spec, command.scope_id)
        never = [s.value for s in command.sources if s not in rules.sources or s not in arrangements.OVERRIDABLE]
        if never:
            raise DepotError(f"limits of {', '.join(never)} are not overridden here; those of {', '.join(rules.sources)} may be")
        if not now < command.until <= now + rules.longest:
            raise InvalidValue(f"an override ends later than now and within {rules.longest.total_seconds() / 60:.0f} min")
        if rules.most_w is not None and command.value_w > rules.most_w:
            raise InvalidValue(f"an override goes to {_kw(rules.most_w)} at most")
        running = self.override(now)
        if running is not None:
            raise DepotError(f"{running.by}'s override holds until {self._clock(running.until)}; end it before you ask for another")
        override = LimitOverride(
            command.command_id, command.scope_id, command.value_w, command.sources, now, command.until, command.actor, command.reason
        )
        before = self._loop.limits_in_force()
        after = arrangements.lifted(before, override, self._arranged[3])
        if after == before:
            raise DepotError(
                f"no limit of {', '.join(command.sources)} would hold {command.scope_id or 'the site'} below {_kw(command.value_w)}"
            )
        await self._append(cause, ev.LimitOverrideBegun(override))
        self._loop.comeback.lifted()
        log.warning(
            "%s overrides limits of %s up to %s: %s", command.actor, ", ".join(command.sources), _kw(command.value_w), command.reason
        )
        binds = limits.binding(self._loop.limits_in_force(), command.scope_id, now)
        words = "" if binds is None else f"; {binds.source.value} binds now, at {_kw(binds.value)}"
        return CommandStatus.DONE, f"overridden until {self._clock(command.until)}{words}"

    async def _end_override(self, command: cmd.EndOverride, cause: ev.Envelope) -> Done:
        override = self.override(self._yard.clock.now())
        if override is None:
            return CommandStatus.DONE, "no override holds"
        self._ended = override.override_id  # tight at once, recorded after
        self._loop.wake()
        await self._append(cause, ev.LimitOverrideEnded(override.override_id, command.reason))
        return CommandStatus.DONE, "the override has ended; all limits hold again"

    async def _append(self, cause: ev.Envelope, fact: ev.Event) -> None:
        new = ev.NewEvent(fact, self._yard.clock.now(), actor=cause.actor, cause_id=cause.id)
        await self._yard.journal.append([new])
        self._loop.wake()
        self._replan("the arranged limits changed")

    # -- views ------------------------------------------------------------------------------------------------------

    async def _view(self, _args: Mapping[str, str]) -> LimitBookView:
        now, book, rules = self._yard.clock.now(), self._book, self._rules
        found = self.everything(now)
        scopes = dict.fromkeys(["", *(feeder.feeder_id for feeder in self._yard.spec.feeders)])
        connectors = [x for x in found if x.scope is ScopeKind.CONNECTOR and (x.until is None or now < x.until)]
        manual = [x for x in self._yard.state.limits.values() if x.source is LimitSource.MANUAL and (x.until is None or now < x.until)]
        holds = self.override(now)
        return LimitBookView(
            at=now,
            manual=[manual_row(x, now, self._remind) for x in sorted(manual, key=lambda x: (x.scope_id, x.value))],
            schedules=[schedule_row(s, now, self._zone) for s in sorted(book.schedules.values(), key=lambda s: s.schedule_id)],
            events=[event_row(e, now) for e in sorted(book.events.values(), key=lambda e: e.starts_at, reverse=True)],
            override=None if holds is None else override_row(holds, found, now),
            overrides=[override_row(o, (), now) for o in reversed(book.overrides[-OVERRIDES_SHOWN:])],
            rules=OverrideRulesRow(
                allowed=rules.allowed,
                sources=[source.value for source in rules.sources],
                most_w=rules.most_w,
                longest_min=round(rules.longest.total_seconds() / 60),
                second_person=rules.second_person,
            ),
            ahead=[step for scope_id in scopes for step in steps_of(found, scope_id, start=now, stop=now + AHEAD)],
            connectors=[connector_row(x) for x in sorted(connectors, key=lambda x: (x.scope_id, x.from_, x.value))],
        )

    async def _history(self, args: Mapping[str, str]) -> LimitHistoryView:
        """``kind``: binding or orders; ``scope_id``: of this scope ("site" for the site); ``before``: a position; ``at``: who bound at
        that moment, one entry for each scope; ``limit``: entries."""
        now = self._yard.clock.now()
        if self._records is None:
            return LimitHistoryView(at=now, entries=[], before=None)
        records, kind = self._records, args.get("kind", "binding")
        if kind not in KINDS:
            raise InvalidValue(f"kind is one of {', '.join(KINDS)}")
        wanted = args.get("scope_id")
        scope_id = None if not wanted else "" if wanted == "site" else wanted
        if "at" in args:
            moment = datetime.fromisoformat(args["at"])
            scopes = ["", *(feeder.feeder_id for feeder in self._yard.spec.feeders)] if scope_id is None else [scope_id]
            held = [await asyncio.to_thread(records.bound_at, scope, moment) for scope in scopes]
            return LimitHistoryView(at=now, entries=[history_row(r) for r in held if r is not None], before=None)
        before = int(args["before"]) if args.get("before") else None
        most = max(1, min(HISTORY_MOST, int(args.get("limit", HISTORY_PAGE))))
        page = await asyncio.to_thread(records.page, kind, scope_id=scope_id, before=before, most=most)
        return LimitHistoryView(at=now, entries=[history_row(r) for r in page.found], before=page.before)

    # -- words ------------------------------------------------------------------------------------------------------

    def _clock(self, at: datetime) -> str:
        return f"{at.astimezone(self._zone):%a %d %b %H:%M}"

    def _today(self, now: datetime) -> date:
        return now.astimezone(self._zone).date()


def check_id(text: str) -> None:
    """Raises :class:`~depot.values.InvalidValue` for what is no id of a schedule or event."""
    if _ID.fullmatch(text) is None:
        raise InvalidValue("an id has letters, digits, spaces and . _ : - and at most 64 characters")


def _need_reason(command: cmd.Command) -> None:
    if not command.reason.strip():
        raise InvalidValue("say why: the reason is kept in the audit trail")


def _kw(watts: int) -> str:
    return f"{watts / 1000:.1f} kW"
