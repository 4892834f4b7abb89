"""Forms and API bodies become commands. Each is checked here for what a person can get wrong; what the depot can't do
is the core's to refuse."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from uuid6 import uuid7

from controller.link import LinkProtocol
from controller.readmodel import NowView
from depot import commands as cmd
from depot.values import ConnectorId, InvalidValue
from web import text
from web.context import Web
from web.problems import Problem


def title_of(kind: str) -> str:
    """A command's kind for people; snake_case kinds are read as well."""
    name = "".join(part.capitalize() for part in kind.split("_")) if "_" in kind or kind.islower() else kind
    known = cmd.COMMANDS.get(name)
    return known.TITLE if known is not None else name


def new_id() -> str:
    return str(uuid7())


def connector_of(station: str, connector: int) -> ConnectorId:
    """The connector of a path; raises :class:`Problem` unknown_charger for what none can be."""
    try:
        return ConnectorId.parse(f"{station}/{connector}")
    except InvalidValue:
        raise Problem("unknown_charger", "An address of a charger is STATION/NUMBER, for example CP-01/1.") from None


async def send(web: Web, command: cmd.Command, *, within_s: float | None = None, urgent: bool = False) -> cmd.CommandResult:
    """Send to the core, unless what we know is old; ``urgent``: then too, for what makes the depot safer whatever we know.
    ``within_s``: how long its answer may take. Raises :class:`Problem`, :class:`~controller.link.CoreUnreachable`."""
    if not urgent:
        web.fresh_view()
    try:
        return await web.link.command(command, within_s=within_s)
    except LinkProtocol as error:
        raise Problem("command_refused", str(error)) from None


def need_reason(reason: str) -> str:
    """The reason, trimmed; raises :class:`Problem` with a field error when there is none."""
    reason = " ".join(reason.split())
    if not reason:
        raise Problem(
            "invalid_request",
            "Say why: the reason is kept in the audit trail.",
            errors={"reason": "Say why; it is kept in the audit trail."},
        )
    if len(reason) > 200:
        raise Problem("invalid_request", "The reason has at most 200 characters.", errors={"reason": "At most 200 characters."})
    return reason


def check_limit(view: NowView, value_w: int) -> None:
    """A manual limit above the connection's contract would limit nothing; raises :class:`Problem`."""
    contract = next((limit.value_w for limit in view.limits if limit.source == "contract" and not limit.scope_id), None)
    if contract is not None and value_w > contract:
        words = f"Contract is {text.kw(contract)} kW"
        raise Problem("invalid_request", f"{words}: a manual limit can only be lower.", errors={"value_kw": words})


def parse_limit(view: NowView, *, value_kw: str, until: str, reason: str) -> tuple[int, datetime | None, str]:
    """The manual limit's form: W, until, reason. Raises :class:`Problem` with all field errors at once."""
    errors: dict[str, str] = {}
    value_w = 0
    try:
        value = float(value_kw.replace(",", "").replace("\u202f", "").strip())
        if not math.isfinite(value) or not 0 <= value <= 1_000_000:
            raise ValueError
        value_w = round(value * 1000)
        check_limit(view, value_w)
    except Problem as problem:
        errors |= problem.errors
    except ValueError:
        errors["value_kw"] = "A number of kW, 0 or more"
    try:
        until_at = next_time(view, until)
    except ValueError:
        until_at = None
        errors["until"] = "A time such as 06:00"
    try:
        reason = need_reason(reason)
    except Problem as problem:
        errors |= problem.errors
    if errors:
        raise Problem("invalid_request", "Correct what is marked.", errors=errors)
    return value_w, until_at, reason


def next_time(view: NowView, clock_time: str) -> datetime | None:
    """The next moment at which the depot's clock shows ``HH:MM``; None for an empty text; ValueError for anything else."""
    clock_time = clock_time.strip()
    if not clock_time:
        return None
    hour, minute = (int(part) for part in clock_time.split(":"))
    zone = ZoneInfo(view.timezone)
    now = view.at.astimezone(zone)
    at = now.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    if at <= now:
        at = (at + timedelta(days=1)).replace(fold=0)
    return at.astimezone(view.at.tzinfo)
