"""Stations as machines on the screen: the list with who waits in quarantine, a station's page, accepting one.

/stations, /stations/{id}          StationsView, ProfilesView -> words
/stations/accept                   a form -> AddStation -> the password, this once
/stations/{id}/registration        accept, hold, reject -> AdmitStation
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from controller.profiles_room import Covered, InstalledProfile, ProfilesView
from controller.stations_view import StationDetail, StationsView
from depot import commands as cmd
from depot.events import Registration
from depot.registry import StationSpec
from depot.values import DepotError
from web import actions, text
from web.context import Web, caller_of, machine_tabs
from web.pages import charger_url, station_url
from web.problems import Problem
from web.screens import carry_out
from web.stations_api import ConnectorBody, NewStationBody, order
from web.v21_part import v21_context

REGISTRATIONS: Mapping[str, tuple[str, str, str]] = {
    "accepted": ("st", "check", "Accepted"),
    "pending": ("st warn", "waiting", "On hold"),
    "rejected": ("st alarm", "close", "Rejected"),
}
"""Registration -> class, symbol, word."""
MOST_CONNECTORS = 20
_PLATE = {"rated_w": ("rated_kw", "More than 0 kW, by its plate"), "phases": ("phases", "1, 2, 3"), "current": ("current", "AC or DC")}
_FIELDS = ("station_id", "feeder_id", "bay_id", "connectors", "rated_kw", "current", "phases", "registration", "reason")

_SETTERS = {"controller": "the controller", "call": "by hand", "EMS": "energy manager (EMS)", "SO": "grid operator (SO)"}
"""Who set a charging profile; other sources are told as the station wrote them."""


def stations_screens(web: Web) -> APIRouter:
    """Routes of the stations' pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/stations")
    async def stations(request: Request) -> Response:
        view = web.view()
        found = await shown_stations(web)
        rows = sorted((_row(s) for s in found.stations), key=lambda r: (-r["rank"], r["station_id"]))
        return web.pages.render(
            request, "stations.html", view=view, screen="chargers", tabs=machine_tabs(request, "stations"), rows=rows,
            strangers=sorted(found.quarantine, key=lambda s: s.station_id),
        )  # fmt: skip

    @router.get("/stations/accept")
    async def accept_form(request: Request, station_id: str = "") -> Response:
        blank = {"station_id": station_id[:48], "connectors": "1", "rated_kw": "", "current": "AC", "registration": "accepted"}
        return _accept_page(web, request, blank, known=bool(station_id))

    @router.post("/stations/accept")
    async def accept(request: Request) -> Response:
        form = await request.form()
        said = {name: str(form.get(name, "")).strip() for name in _FIELDS}
        known = form.get("known") == "yes"
        station, errors = parse_station(said)
        if station is None:
            return _accept_page(web, request, said, known=known, errors=errors, status=422)
        command = cmd.AddStation(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=said["reason"], station_id=station.station_id,
            station=station, registration=Registration(said["registration"]),
        )  # fmt: skip
        try:
            result = await order(web, command)
        except Problem as problem:
            return _accept_page(web, request, said, known=known, errors={"": problem.detail}, status=problem.status)
        password = str((result.answer or {}).get("password", ""))
        return web.pages.render(
            request, "station_added.html", view=web.view(), screen="chargers", station_id=station.station_id, password=password,
            message=result.message, audit_seq=result.audit_seq, url=station_url(station.station_id),
        )  # fmt: skip

    @router.get("/stations/{station_id}")
    async def station(request: Request, station_id: str) -> Response:
        view = web.view()
        detail = await shown_station(web, station_id)
        profiles = await web.link.show(ProfilesView, station_id=station_id)
        clock = text.DepotTime(view.timezone, view.at)
        context = _station_context(detail, profiles, clock) | await v21_context(web, detail, clock)
        return web.pages.render(
            request, "station.html", view=view, screen="chargers", tabs=machine_tabs(request, "stations"), url=station_url(station_id),
            **context,
        )  # fmt: skip

    @router.post("/stations/{station_id}/registration")
    async def registration(request: Request, station_id: str) -> Response:
        form = await request.form()
        reason = actions.need_reason(str(form.get("reason", "")))
        try:
            wanted = Registration(str(form.get("registration", "")))
        except ValueError:
            raise Problem("invalid_request", "A station is accepted, pending or rejected.") from None
        await shown_station(web, station_id)
        command = cmd.AdmitStation(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, station_id=station_id, registration=wanted
        )
        return await carry_out(web, request, command, f"{REGISTRATIONS[wanted.value][2]}: {station_id}", back=station_url(station_id))

    return router


async def shown_stations(web: Web, **args: str) -> StationsView:
    """All stations, or one of them."""
    found = await web.link.show(StationsView, **args)
    if found is None:
        raise Problem("not_found", "This core has no stations room.")
    return found


async def shown_station(web: Web, station_id: str) -> StationDetail:
    """One station; raises :class:`Problem` unknown_station."""
    found = (await shown_stations(web, station_id=station_id)).stations
    one = next((s for s in found if s.station_id == station_id), None)
    if one is None:
        raise Problem("unknown_station", f"The depot has no station {station_id[:48]}. The list shows all, and who waits in quarantine.")
    return one


def parse_station(said: Mapping[str, str]) -> tuple[StationSpec | None, dict[str, str]]:
    """The accept form: the station, or what is wrong by field."""
    errors: dict[str, str] = {}
    try:
        body = NewStationBody(station_id=said["station_id"], feeder_id=said["feeder_id"] or None, bay_id=said["bay_id"])
    except ValidationError as error:
        body = None
        errors |= {str(e["loc"][0]): "Letters, digits and * - _ = : + | @ . , at most 48" for e in error.errors()}
    if said["registration"] not in ("accepted", "pending"):
        errors["registration"] = "Accepted, or on hold"
    if not said["reason"] or len(said["reason"]) > 200:
        errors["reason"] = "Say why; it is kept in the audit trail."
    if not said["feeder_id"]:
        errors["feeder_id"] = "The one that its cable hangs on"
    count = int(said["connectors"]) if said["connectors"].isascii() and said["connectors"].isdecimal() else 0
    if not 1 <= count <= MOST_CONNECTORS:
        errors["connectors"] = f"1 to {MOST_CONNECTORS}"
    connectors = []
    count = 0 if "connectors" in errors else count
    try:
        rated_w = round(float(said["rated_kw"].replace(",", ".")) * 1000)
        phases = sorted({int(p) for p in said["phases"].replace(",", " ").split()})
        plate = {"rated_w": rated_w, "current": said["current"], "phases": phases}
        connectors = [ConnectorBody.model_validate(plate | {"connector_id": n + 1}).to_spec() for n in range(count)]
    except ValidationError as error:
        names = {
            "rated_w": ("rated_kw", "More than 0 kW, by its plate"),
            "phases": ("phases", "1, 2, 3"),
            "current": ("current", "AC or DC"),
        }
        errors |= dict(names.get(str(e["loc"][0]), ("rated_kw", str(e["msg"]))) for e in error.errors())
    except (ValueError, OverflowError, DepotError):
        errors.setdefault("rated_kw", "A number of kW, by its plate; phases like 1 2 3")
    if errors or body is None:
        return None, errors
    return StationSpec(body.station_id, said["feeder_id"], tuple(connectors), said["bay_id"]), {}


def _accept_page(
    web: Web, request: Request, said: Mapping[str, str], *, known: bool, errors: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    view = web.view()
    feeders = [(f.feeder_id, f.name or f.feeder_id) for f in view.feeders]
    values = dict.fromkeys(_FIELDS, "") | dict(said)
    if len(feeders) == 1 and not values["feeder_id"]:
        values["feeder_id"] = feeders[0][0]
    blank = dict.fromkeys(("", *_FIELDS), "")
    return web.pages.render(
        request, "station_accept.html", view=view, status=status, screen="chargers", v=values, known=known, feeders=feeders,
        errors=blank | dict(errors or {}),
    )  # fmt: skip


# -- words ------------------------------------------------------------------------------------------------------------------


def _row(s: StationDetail) -> dict[str, Any]:
    css, symbol, word = REGISTRATIONS[s.registration]
    powers = sorted({f"{text.kw(c.rated_w)} kW {c.current}" for c in s.connectors})
    return {
        "station_id": s.station_id,
        "registration": (css, symbol, word),
        "link": _link(s),
        "version": f"OCPP {s.version}" if s.version else text.ABSENT,
        "machine": " ".join(part for part in (s.vendor, s.model) if part) or "not reported",
        "firmware": s.firmware or text.ABSENT,
        "profile": str(s.security_profile),
        "connectors": f"{len(s.connectors)} × {', '.join(powers)}",
        "feeder": s.feeder_id,
        "css": "alarm" if s.registration == "rejected" else ("warn" if s.registration == "pending" or s.by_hand else ""),
        "rank": (s.registration != "accepted") * 4 + bool(s.by_hand) * 2 + (not s.connected),
    }


def _link(s: StationDetail) -> tuple[str, str, str]:
    return ("st", "check", "connected") if s.connected else ("st lost", "offline", "not connected")


def _station_context(s: StationDetail, profiles: ProfilesView | None, clock: text.DepotTime) -> dict[str, Any]:
    covered = {c.connector: c for c in profiles.connectors} if profiles is not None else {}
    return {
        "s": s,
        "registration": REGISTRATIONS[s.registration],
        "link": _link(s),
        "since": clock.seconds(s.since),
        "heard": clock.seconds(s.last_frame_at),
        "place": " · ".join(part for part in (f"feeder {s.feeder_id}", f"bay {s.bay_id}" if s.bay_id else "") if part),
        "facts": _facts(s, clock),
        "capabilities": _capabilities(s),
        "connectors": [_connector(s, c.number, covered.get(c.number)) for c in s.connectors],
        "profiles": [_profile(p, clock) for p in (profiles.profiles if profiles is not None else ())],
        "violations": sorted(((name.replace("_", " "), count) for name, count in s.violations.items()), key=lambda v: (-v[1], v[0])),
        "limits": sorted((name.replace("_", " "), str(value)) for name, value in s.item_limits.items()),
    }


def _facts(s: StationDetail, clock: text.DepotTime) -> list[tuple[str, str]]:
    status = s.status if s.error_code in ("", "NoError") else f"{s.status}, {s.error_code}"
    upgrade = f", on its way to {s.security_upgrade}" if s.security_upgrade is not None else ""
    facts = [
        ("Maker, model", " ".join(part for part in (s.vendor, s.model) if part) or "not reported"),
        ("Serial number", s.serial or text.ABSENT),
        ("Firmware", s.firmware or text.ABSENT),
        ("OCPP", s.version or "not heard yet"),
        ("Security profile", f"{s.security_profile}{upgrade}"),
        ("As a whole", " · ".join(part for part in (status, s.detail.info) if part) or text.ABSENT),
        ("Last heard", clock.seconds(s.last_frame_at)),
    ]
    return facts + ([("Leaves the depot", "at the controller's next start")] if s.retiring else [])


def _capabilities(s: StationDetail) -> list[tuple[str, str]]:
    found = s.capabilities
    if found is None:
        return []
    words = {True: "yes", False: "no", None: text.UNKNOWN}

    def number(value: int | None) -> str:
        return text.UNKNOWN if value is None else str(value)

    return [
        ("Limits in", " or ".join(found.rate_units) or text.UNKNOWN),
        ("Purposes taken", ", ".join(found.purposes) or "none"),
        ("Highest stack level", str(found.max_stack_level)),
        ("Periods in a schedule", number(found.max_periods)),
        ("Profiles at once", number(found.max_profiles)),
        ("Changes between 3 and 1 phase", words[found.switches_phases]),
        ("Tells its composite schedule", words[found.composite]),
        ("Falls back to its default", words[found.falls_back]),
        ("Can start by itself", "yes: counted at all times" if found.autonomous else "no"),
    ]


def _connector(s: StationDetail, number: int, covered: Covered | None) -> dict[str, Any]:
    c = next(c for c in s.connectors if c.number == number)
    return {
        "number": number,
        "href": charger_url(f"{s.station_id}/{number}"),
        "status": c.status if c.error_code in ("", "NoError") else f"{c.status}, {c.error_code}",
        "power": f"{text.kw(c.min_w)} to {text.kw(c.rated_w)}",
        "current": c.current,
        "phases": " ".join(map(str, c.phases)) or text.UNKNOWN,
        "session": text.ABSENT if c.transaction_id is None else str(c.transaction_id),
        "default": text.ABSENT if c.default_w is None else text.kw(c.default_w),
        "sure": "" if covered is None or not covered.uncovered else covered.uncovered,
        "differs": "" if covered is None else covered.differs,
        "out": not c.operative,
    }


def _profile(p: InstalledProfile, clock: text.DepotTime) -> dict[str, str]:
    return {
        "id": str(p.profile_id),
        "where": "whole station" if p.connector == 0 else f"connector {p.connector}",
        "purpose": f"{p.purpose}, level {p.stack_level}",
        "limit": f"{p.limit:,g}",
        "unit": p.unit + (f", {p.periods} periods" if p.periods > 1 else ""),
        "expires": "never" if p.expires_at is None else clock.seconds(p.expires_at),
        "who": _SETTERS.get(p.source, p.source) + ("" if p.confirmed else ", not confirmed"),
    }
