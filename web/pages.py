"""Templates and static files: what every page shares (frame, person, flash, staleness) and the parts that the live
stream replaces whole because their structure changes (chart, notices)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from controller.readmodel import Notice, NowView
from web import charts, scene, text
from web.auth import Caller, csrf_token
from web.live import DepotLink
from web.settings import WebSettings

ROOT = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_NOTICES_MOST = 5
SCREENS = (
    ("now", "/", "now", "Now"),
    ("chargers", "/chargers", "plug", "Chargers"),
    ("departures", "/departures", "bus", "Departures"),
    ("plan", "/plan", "plan", "Plan"),
    ("grid", "/grid", "scada", "Grid"),
    ("batteries", "/batteries", "battery", "Batteries"),
    ("safety", "/safety", "safety", "Safety"),
    ("payments", "/payments", "payment", "Payments"),
    ("alarms", "/alarms", "alarms", "Alarms"),
    ("audit", "/audit", "reports", "Audit"),
    ("registry", "/registry/vehicles", "list", "Registry"),
    ("system", "/system", "system", "System"),
)
"""The rail: key, address, symbol, words. In the order of the day's questions."""
PHONE_SCREENS = frozenset({"now", "chargers", "departures", "alarms", "system"})
"""What the bar of a phone has room for."""

FLASH = "chargeyard_flash"
THEME = "chargeyard_theme"


class Flash(msgspec.Struct, frozen=True):
    """How the person's last command went; shown once, on the page after."""

    title: str
    status: str
    message: str
    audit_seq: int
    actor: str


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    media_type: str


def charger_url(connector: str) -> str:
    """``CP-01/1`` -> the path of its page."""
    station, _, number = connector.rpartition("/")
    return f"/chargers/{quote(station, safe='')}/{number}"


def station_url(station_id: str) -> str:
    """The path of a station's page."""
    return f"/stations/{quote(station_id, safe='')}"


def trip_words(view: NowView) -> list[dict[str, str]]:
    """The red banner of every page: the tripped batteries, those on a charger first."""
    clock = text.DepotTime(view.timezone, view.at)
    found = []
    for trip in view.trips:
        where = f" on {trip.label}" if trip.label is not None else ""
        found.append(
            {
                "title": f"Battery trip: {trip.vehicle_id}{where}",
                "words": f"{trip.power_text}. Since {clock.seconds(trip.since)}: {trip.text}.",
                "short": f"{trip.vehicle_id}{where}",
            }
        )
    return found


class Pages:
    """Renders; knows the link only to say how old its view is."""

    def __init__(self, settings: WebSettings, link: DepotLink) -> None:
        self._settings, self._link = settings, link
        self.static = {
            path.name: StaticFile(path.read_bytes(), _TYPES[path.suffix])
            for path in sorted((ROOT / "static").iterdir())
            if path.suffix in _TYPES
        }
        self.version = hashlib.sha256(b"".join(f.content for f in self.static.values())).hexdigest()[:10]
        self._env = Environment(loader=FileSystemLoader(ROOT / "templates"), autoescape=True, undefined=StrictUndefined)
        self._env.globals.update(
            static=lambda name: f"/static/{self.version}/{name}",
            charger_url=charger_url,
            station_url=station_url,
            age=text.age,
            kw=text.kw,
            kwh=text.kwh,
            chips=scene.CHIPS,
            screens=SCREENS,
            phone_screens=[screen for screen in SCREENS if screen[0] in PHONE_SCREENS] + [("account", "/account", "more", "More")],
        )
        self._env.filters.update(kw=text.kw, kwh=text.kwh)

    @property
    def stale(self) -> bool:
        """Whether the newest view is too old to act on."""
        age_s = self._link.age_s
        return age_s is None or age_s > self._settings.stale_s

    def parts(self, view: NowView) -> Mapping[str, str]:
        """The parts of *Now* that the stream replaces whole, as HTML, the same for everybody."""
        return {
            "chart": self._env.get_template("part_chart.html").render(self._chart(view)),
            "trips": self._env.get_template("part_trips.html").render(trips=trip_words(view)),
            "notices": self._env.get_template("part_notices.html").render(self._notices(view)),
        }

    def now_context(self, view: NowView) -> dict[str, Any]:
        """What *Now* needs beside the frame."""
        return self._chart(view) | self._notices(view)

    def render(
        self,
        request: Request,
        template: str,
        *,
        view: NowView | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """A page in the frame. ``view`` None: the frame without the depot (sign-in, errors)."""
        caller: Caller | None = getattr(request.state, "caller", None)
        flash = self._flash(request) if caller is not None else None
        frame: dict[str, Any] = {
            "theme": {"light": "light", "dark": "dark"}.get(request.cookies.get(THEME, ""), "dark"),
            "view": view,
            "person": caller,
            "csrf": csrf_token(caller.token) if caller is not None else "",
            "may": caller.may if caller is not None else lambda _: False,
            "flash": flash,
            "screen": "",
            "trips": [],
            "stale": False,
            "retry": False,
        }
        if view is not None:
            frame |= {
                "scene": scene.build(view),
                "shape": scene.shape(view),
                "trips": trip_words(view),
                "stale": self.stale,
                "age_s": self._link.age_s or 0.0,
                "at_words": text.DepotTime(view.timezone, view.at).seconds(view.at),
            }
        html = self._env.get_template(template).render(frame | context)
        response = HTMLResponse(html, status_code=status, headers=dict(headers or {}))
        if flash is not None:
            response.delete_cookie(FLASH, path="/", httponly=True, samesite="strict", secure=self._settings.tls)
        return response

    def message(
        self, request: Request, *, title: str, words: str, status: int, symbol: str, css: str, back: tuple[str, str], retry: bool
    ) -> Response:
        """A page that says one thing: errors, missing permission. ``retry``: it loads itself again after 3 s."""
        context: dict[str, Any] = {
            "title": title,
            "words": words,
            "symbol": symbol,
            "css": css,
            "back": back[0],
            "back_words": back[1],
            "retry": retry,
        }
        return self.render(request, "message.html", view=None, status=status, **context)

    def set_flash(self, response: Response, flash: Flash) -> None:
        value = base64.urlsafe_b64encode(msgspec.json.encode(flash)).decode().rstrip("=")
        response.set_cookie(FLASH, value, max_age=60, path="/", httponly=True, samesite="strict", secure=self._settings.tls)

    def _flash(self, request: Request) -> Flash | None:
        raw = request.cookies.get(FLASH)
        if not raw or "x-live" in request.headers:
            return None
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)), type=Flash)
        except ValueError:
            return None

    def _chart(self, view: NowView) -> dict[str, Any]:
        clock = text.DepotTime(view.timezone, view.at)
        return {"chart": charts.site_chart(view.chart, view.at, clock=clock, currency=view.site.currency)}

    def _notices(self, view: NowView) -> dict[str, Any]:
        clock = text.DepotTime(view.timezone, view.at)

        def words(notice: Notice) -> dict[str, Any]:
            priority = min(3, max(1, notice.priority))
            return {
                "priority": priority,
                "title": notice.title,
                "action": notice.action,
                "since": clock.seconds(notice.since),
                "connector": notice.connector,
            }

        ordered = sorted(view.notices, key=lambda n: (n.priority, n.since))
        return {"notices": [words(n) for n in ordered[:_NOTICES_MOST]], "hidden_notices": max(0, len(ordered) - _NOTICES_MOST)}
