"""*Limits*, below *Grid*: what is arranged of limits, what binds over the next two days, who bound before; and its forms.

GET  /grid/limits                   the page
GET  /grid/limits/new/{kind}        a form: manual, weekly, once, event, override
POST /grid/limits/new/{kind}        the form: a command, or the form again with what is wrong in it
POST /grid/limits/end               lift, remove, cancel, opt out of, or end one of them
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.limit_book_view import DemandEventRow, LimitBookView, LimitHistoryRow, LimitHistoryView, LimitStep, ScheduleRow
from controller.readmodel import NowView
from depot import commands as cmd
from depot.limit_book import EventChannel, Period, Weekly
from depot.values import InvalidValue, LimitSource
from web import actions, text
from web.context import Web, caller_of
from web.grid_page import SOURCES, override_words
from web.problems import Problem
from web.screens import carry_out

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HISTORY = "30"
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00")
_PHASES = {
    "announced": ("st", "clock"), "active": ("st warn", "limit"), "ended": ("st", "check"), "cancelled": ("st lost", "offline"),
    "opted_out": ("st warn", "offline"),
}  # fmt: skip
_WHAT = {
    "set": "set by hand", "lifted": "lifted", "schedule_set": "schedule set", "schedule_removed": "schedule removed",
    "event_announced": "event announced", "event_cancelled": "event cancelled", "event_opted_out": "opted out of event",
    "event_measured": "event measured", "override_begun": "override begun", "override_ended": "override ended",
    "unbound": "no limit any more",
}  # fmt: skip


class Line(NamedTuple):
    """One field of a form. ``options``: (value, words) of a choice."""

    name: str
    label: str
    hint: str
    type: str = "text"
    options: Sequence[tuple[str, str]] = ()
    required: bool = True


class Form(NamedTuple):
    """A kind of form: what it is called, its fields, what it brings about, and how it becomes a command."""

    title: str
    button: str
    effect: str
    lines: Callable[[NowView, LimitBookView], Sequence[Line]]
    command: Callable[[Read], cmd.Command]


class Read:
    """A form's fields as they were filled in. What is wrong is gathered; :meth:`done` raises it all at once."""

    def __init__(self, form: Mapping[str, str], view: NowView, book: LimitBookView, actor: str) -> None:
        self.form, self.view, self.book = form, view, book
        self.zone = ZoneInfo(view.timezone)
        self.errors: dict[str, str] = {}
        self._actor = actor

    def text(self, name: str) -> str:
        return " ".join(self.form.get(name, "").split())

    def watts(self, name: str, *, required: bool = True) -> int | None:
        given = self.text(name).replace(",", "").replace(" ", "")
        if not given and not required:
            return None
        try:
            value = float(given)
            if not math.isfinite(value) or not 0 <= value <= 1_000_000:
                raise ValueError
        except ValueError:
            self.errors[name] = "A number of kW, 0 or more"
            return 0
        return round(value * 1000)

    def moment(self, name: str, *, required: bool = True) -> datetime | None:
        """A date and time by the depot's clock."""
        given = self.form.get(name, "").strip()
        if not given and not required:
            return None
        try:
            at = datetime.fromisoformat(given).replace(tzinfo=self.zone)
            return at.astimezone(self.view.at.tzinfo)
        except (ValueError, OverflowError):
            self.errors[name] = "A date and a time such as 2026-11-23 18:00"
            return None

    def clock(self, name: str) -> int:
        """Minutes after midnight."""
        given = self.text(name)
        if _CLOCK.fullmatch(given) is None:
            self.errors[name] = "A time such as 18:00"
            return 0
        hour, minute = given.split(":")
        return int(hour) * 60 + int(minute)

    def day(self, name: str) -> date | None:
        given = self.text(name)
        try:
            return date.fromisoformat(given) if given else None
        except ValueError:
            self.errors[name] = "A date such as 2026-11-23, or nothing"
            return None

    def period(self, first: str, last: str) -> Period | None:
        starts_at, ends_at = self.moment(first), self.moment(last)
        if starts_at is None or ends_at is None:
            return None
        try:
            return Period(starts_at, ends_at)
        except InvalidValue:
            self.errors[last] = "Later than its beginning"
            return None

    def who(self) -> dict[str, Any]:
        """What every command has. Raises :class:`Problem` with everything that is wrong."""
        reason = self.text("reason")
        try:
            reason = actions.need_reason(reason)
        except Problem as problem:
            self.errors |= problem.errors
        if self.errors:
            raise Problem("invalid_request", "Correct what is marked.", errors=self.errors)
        return {"command_id": actions.new_id(), "actor": self._actor, "reason": reason}


def days_of(given: str) -> tuple[int, ...]:
    """``Mon-Fri, Sun`` as numbers; "daily" is all. Raises ValueError."""
    if given.strip().lower() in ("daily", "every day"):
        return tuple(range(7))
    names = [name.lower() for name in DAYS]
    out: list[int] = []
    for part in re.split(r"[,\s]+", re.sub(r"\s*-\s*", "-", given.strip().lower())):
        first, _, last = part.partition("-")
        a, b = names.index(first[:3]), names.index((last or first)[:3])
        out += [day % 7 for day in range(a, b + 1 if b >= a else b + 8)]
    return tuple(sorted(set(out)))


def scopes_of(view: NowView) -> list[tuple[str, str]]:
    """What a limit can be for."""
    feeders = [(f.feeder_id, f.name if "feeder" in f.name.lower() else f"Feeder {f.name}") for f in view.feeders]
    return [("", "Site"), *feeders, *((tile.connector, tile.connector) for tile in sorted(view.tiles, key=lambda tile: tile.connector))]


def _scope(view: NowView) -> Line:
    return Line("scope_id", "For", "Site, feeder or connector.", options=scopes_of(view))


_VALUE = Line("value_kw", "Limit, kW", "0 stops all charging there.", "decimal")
_ID = Line("id", "Name", "Letters, digits, spaces and . _ : - The same name again replaces it.")


def _manual(read: Read) -> cmd.Command:
    value_w, until = read.watts("value_kw") or 0, read.moment("until", required=False)
    if until is not None and until <= read.view.at:
        read.errors["until"] = "Later than now"
    return cmd.SetManualLimit(**read.who(), value_w=value_w, scope_id=read.text("scope_id"), name=read.text("name")[:40], until=until)


def _weekly(read: Read) -> cmd.Command:
    value_w, starts_min, ends_min = read.watts("value_kw") or 0, read.clock("starts"), read.clock("ends")
    first_day, last_day = read.day("first_day"), read.day("last_day")
    weekly = None
    try:
        days = days_of(read.text("days"))
    except ValueError:
        days = ()
        read.errors["days"] = "Days such as Mon-Fri, Sun"
    if not read.errors:
        try:
            weekly = Weekly(days, starts_min % (24 * 60), ends_min, first_day, last_day)
        except InvalidValue as error:
            read.errors["last_day"] = str(error)
    return cmd.SetLimitSchedule(**read.who(), schedule_id=read.text("id"), value_w=value_w, scope_id=read.text("scope_id"), weekly=weekly)


def _once(read: Read) -> cmd.Command:
    value_w, once = read.watts("value_kw") or 0, read.period("starts_at", "ends_at")
    return cmd.SetLimitSchedule(**read.who(), schedule_id=read.text("id"), value_w=value_w, scope_id=read.text("scope_id"), once=once)


def _event(read: Read) -> cmd.Command:
    period = read.period("starts_at", "ends_at")
    limit_w, reduction_w = read.watts("limit_kw", required=False), read.watts("reduction_kw", required=False)
    if (limit_w is None) == (reduction_w is None):
        read.errors["limit_kw"] = "A limit or a reduction, one of the two"
    channel = read.text("channel")
    if channel not in list(EventChannel):
        read.errors["channel"] = "One of the list"
    baseline_w = read.watts("baseline_kw", required=False)
    who = read.who()
    assert period is not None
    return cmd.AnnounceDemandEvent(
        **who, event_id=read.text("id"), programme=read.text("programme"), starts_at=period.starts_at, ends_at=period.ends_at,
        channel=EventChannel(channel), limit_w=limit_w, reduction_w=reduction_w, baseline_w=baseline_w,
    )  # fmt: skip


def _override(read: Read) -> cmd.Command:
    value_w, until = read.watts("value_kw") or 0, read.moment("until")
    source = read.text("source")
    chosen = read.book.rules.sources if source == "all" else [source]
    if not chosen or any(name not in read.book.rules.sources for name in chosen):
        read.errors["source"] = "One of the list"
    who = read.who()
    assert until is not None
    return cmd.OverrideLimits(**who, value_w=value_w, until=until, sources=tuple(LimitSource(name) for name in chosen))


def _override_lines(_view: NowView, book: LimitBookView) -> Sequence[Line]:
    rules = book.rules
    most = f", at most {text.kw(rules.most_w)}" if rules.most_w is not None else ""
    sources = [("all", "all that may be overridden"), *((name, SOURCES.get(name, name)) for name in rules.sources)]
    return (
        Line("value_kw", "Up to, kW", f"The site may rise to this level{most}; stricter limits of other kinds hold.", "decimal"),
        Line("until", "Until", f"Depot time, within {rules.longest_min} min. It ends by itself.", "datetime-local"),
        Line("source", "Limits that are lifted", "As far as they were set before now.", options=sources),
    )


FORMS: Mapping[str, Form] = {
    "manual": Form(
        "Limit by hand", "Set limit", "Brought under this power within seconds: sessions slow down or pause. Stricter limits hold.",
        lambda view, _book: (
            _scope(view), _VALUE,
            Line("until", "Until", "Depot time. Empty: until it is lifted; you are reminded of it.", "datetime-local", required=False),
            Line("name", "Name", "To hold beside others of the same place. Empty: it replaces the one without a name.", required=False),
        ),
        _manual,
    ),
    "weekly": Form(
        "Limit every week", "Schedule", "It comes by itself in its window, and the plan knows of it beforehand.",
        lambda view, _book: (
            _ID, _scope(view), _VALUE,
            Line("days", "Days", "Such as Mon-Fri, Sun; or daily."),
            Line("starts", "From", "Depot time, HH:MM."),
            Line("ends", "To", "HH:MM. Not later than From: on the next day."),
            Line("first_day", "First day", "Empty: from now on.", "date", required=False),
            Line("last_day", "Last day", "Empty: until it is removed.", "date", required=False),
        ),
        _weekly,
    ),
    "once": Form(
        "Limit once", "Schedule", "It comes by itself at its time, and the plan knows of it beforehand.",
        lambda view, _book: (
            _ID, _scope(view), _VALUE,
            Line("starts_at", "From", "Depot time.", "datetime-local"),
            Line("ends_at", "To", "Depot time.", "datetime-local"),
        ),
        _once,
    ),
    "event": Form(
        "Demand-response event", "Announce", "The site is held at its limit while it is active. What was drawn is measured and kept.",
        lambda _view, _book: (
            Line("id", "Event", "Its number, as the programme gives it. The same again changes it."),
            Line("programme", "Programme", "Who calls for it."),
            Line("channel", "It came by", "How it reached you.", options=[(c.value, c.value) for c in EventChannel]),
            Line("starts_at", "From", "Depot time.", "datetime-local"),
            Line("ends_at", "To", "Depot time.", "datetime-local"),
            Line("limit_kw", "Limit, kW", "What the site may draw. Or a reduction:", "decimal", required=False),
            Line("reduction_kw", "Reduction, kW", "So much less than the baseline.", "decimal", required=False),
            Line("baseline_kw", "Baseline, kW", "Empty: as measured at these hours of the last days.", "decimal", required=False),
        ),
        _event,
    ),
    "override": Form(
        "Override limits", "Override", "The site may draw more than was ordered or arranged. The utility is told; contract, transformer, "
        "feeders, fail-safe and safety hold as ever.",
        _override_lines, _override,
    ),
}  # fmt: skip


def limits_screens(web: Web) -> APIRouter:
    """Routes of the page and of its forms."""
    router = APIRouter(include_in_schema=False)

    async def book() -> LimitBookView:
        found = await web.link.show(LimitBookView)
        if found is None:
            raise Problem("not_found", "This core arranges no limits.")
        return found

    def form_of(kind: str) -> Form:
        if kind not in FORMS:
            raise Problem("not_found", "There is no such form.")
        return FORMS[kind]

    async def form_page(request: Request, kind: str, filled: Mapping[str, str], errors: Mapping[str, str], status: int = 200) -> Response:
        form, view = form_of(kind), web.view()
        lines = form.lines(view, await book())
        names = [*(line.name for line in lines), "reason"]
        filled, errors = ({name: given.get(name, "") for name in names} for given in (filled, errors))
        return web.pages.render(
            request, "limit_new.html", view=view, status=status, screen="grid", kind=kind, form=form, lines=lines, v=filled, errors=errors
        )

    @router.get("/grid/limits")
    async def limits(request: Request) -> Response:
        view, found = web.view(), await book()
        past = await web.link.show(LimitHistoryView, kind="binding", limit=_HISTORY)
        orders = await web.link.show(LimitHistoryView, kind="orders", limit=_HISTORY)
        context = limits_context(found, view, past, orders)
        return web.pages.render(request, "limits.html", view=view, screen="grid", b=found, **context)

    @router.get("/grid/limits/new/{kind}")
    async def new(request: Request, kind: str) -> Response:
        return await form_page(request, kind, {}, {})

    @router.post("/grid/limits/new/{kind}")
    async def create(request: Request, kind: str) -> Response:
        filled = {k: str(v) for k, v in (await request.form()).items()}
        form = form_of(kind)
        read = Read(filled, web.fresh_view(), await book(), caller_of(request).name)
        try:
            command = form.command(read)
        except Problem as problem:
            return await form_page(request, kind, filled, problem.errors, 422)
        return await carry_out(web, request, command, form.title, back="/grid/limits")

    @router.post("/grid/limits/end")
    async def end(request: Request) -> Response:
        form = {k: str(v) for k, v in (await request.form()).items()}
        who = {
            "command_id": actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(form.get("reason", "")),
        }  # fmt: skip
        what, name = form.get("what", ""), form.get("id", "")
        commands: Mapping[str, Callable[[], cmd.Command]] = {
            "manual": lambda: cmd.ClearManualLimit(**who, scope_id=form.get("scope_id", ""), name=name),
            "schedule": lambda: cmd.RemoveLimitSchedule(**who, schedule_id=name),
            "cancel": lambda: cmd.CancelDemandEvent(**who, event_id=name),
            "opt-out": lambda: cmd.OptOutOfDemandEvent(**who, event_id=name),
            "override": lambda: cmd.EndOverride(**who),
        }
        if what not in commands:
            raise Problem("invalid_request", "There is nothing of this kind to end.")
        command = commands[what]()
        return await carry_out(web, request, command, type(command).TITLE, back="/grid/limits")

    return router


# -- what the template needs ----------------------------------------------------------------------------------------------


def limits_context(b: LimitBookView, view: NowView, past: LimitHistoryView | None, orders: LimitHistoryView | None) -> dict[str, Any]:
    """Everything that the page shows."""
    clock = text.DepotTime(view.timezone, view.at)
    names = dict(scopes_of(view))

    def place(scope_id: str | None) -> str:
        return "" if scope_id is None else names.get(scope_id, scope_id.removesuffix("/0") if scope_id.endswith("/0") else scope_id)

    return {
        "override": override_words(b.override, clock),
        "manual": [
            {
                "scope": place(m.scope_id), "scope_id": m.scope_id, "name": m.name, "value": text.kw(m.value_w),
                "by": f"{m.set_by}: {m.reason}" if m.reason else m.set_by, "age": text.age(m.age_s),
                "until": clock.clock(m.until) if m.until is not None else "until it is lifted", "forgotten": m.forgotten,
            }
            for m in b.manual
        ],
        "schedules": [_schedule(s, place(s.scope_id), clock) for s in b.schedules],
        "events": [_event_row(e, clock) for e in b.events],
        "ahead": [_step(s, place(s.scope_id), clock) for s in b.ahead],
        "connectors": [_step(s, place(s.scope_id), clock) for s in b.connectors],
        "past": [_past(r, place(r.scope_id), clock) for r in (past.entries if past is not None else [])],
        "orders": [_past(r, place(r.scope_id), clock) for r in (orders.entries if orders is not None else [])],
    }  # fmt: skip


def _schedule(s: ScheduleRow, scope: str, clock: text.DepotTime) -> dict[str, str]:
    if s.days:
        when = f"{', '.join(DAYS[day] for day in s.days)} {s.starts} to {s.ends}"
        when += f", from {s.first_day}" if s.first_day is not None else ""
        when += f", until {s.last_day}" if s.last_day is not None else ""
    else:
        when = f"once, {clock.clock(s.starts_at)} to {clock.clock(s.ends_at)}"
    coming = "not within two days" if s.next_at is None else f"{clock.clock(s.next_at)} to {clock.clock(s.next_until)}"
    return {
        "id": s.schedule_id, "scope": scope, "value": text.kw(s.value_w), "when": when, "next": coming, "by": f"{s.set_by}: {s.reason}",
    }  # fmt: skip


def _event_row(e: DemandEventRow, clock: text.DepotTime) -> dict[str, Any]:
    css, symbol = _PHASES.get(e.phase, ("st", "check"))
    how = "" if e.limit_w is not None else f"{text.kw(e.reduction_w)} kW less than {text.kw(e.baseline_w)} kW"
    result = text.ABSENT
    if e.result is not None:
        r = e.result
        verdict = {True: "complied", False: f"{r.over_min} min above", None: "too little measured"}[r.complied]
        result = f"{verdict}; peak {text.kw(r.peak_w)} kW, {r.energy_wh / 1000:.0f} kWh"
    withdrawn = f"{e.withdrawn_by}: {e.withdrawn_reason}" if e.withdrawn_by else ""
    return {
        "id": e.event_id, "programme": e.programme, "phase": e.phase.replace("_", " "), "css": css, "symbol": symbol,
        "value": text.kw(e.allowed_w), "how": how, "span": f"{clock.clock(e.starts_at)} to {clock.clock(e.ends_at)}",
        "by": f"{e.announced_by} ({e.channel}): {e.reason}", "withdrawn": withdrawn, "result": result,
        "open": e.phase in ("announced", "active"),
    }  # fmt: skip


def _step(s: LimitStep, scope: str, clock: text.DepotTime) -> dict[str, str]:
    by = f"{s.set_by}: {s.reason}" if s.set_by and s.reason else s.set_by or s.reason
    return {"scope": scope, "at": clock.clock(s.at), "value": text.kw(s.value_w), "source": SOURCES.get(s.source, s.source), "by": by}


def _past(r: LimitHistoryRow, scope: str, clock: text.DepotTime) -> dict[str, str]:
    return {
        "at": clock.seconds(r.at), "scope": scope, "what": _WHAT.get(r.what) or SOURCES.get(r.source, r.source) or r.what, "id": r.id,
        "value": text.ABSENT if r.value_w is None else text.kw(r.value_w), "by": r.by, "reason": r.reason,
        "until": "" if r.until is None else clock.clock(r.until),
    }  # fmt: skip
