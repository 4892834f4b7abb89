"""The web application on a fake depot, called in process, and a person who signs in to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from fake_anomalies import fill_anomalies
from fake_bills import fill_bills
from fake_books import fill_books
from fake_depot import FakeLink, sample
from fake_health import fill_health
from fake_invoices import fill_invoices
from fake_kit import fill_kit
from fake_lake import fill_lake
from fake_limits import fill_limits
from fake_passport_views import fill_passports
from fake_plan import fill_plan
from fake_reference import fill_reference
from fake_registry import fill
from fake_stations import fill as fill_stations
from fastapi import FastAPI

import web
from controller.readmodel import NowView
from depot.values import Role
from storage import Store
from web.app import create_app
from web.settings import WebSettings
from web.users import Users

PASSWORD = "three words will do"
ORIGIN = "http://127.0.0.1:8080"
NAMES = {Role.VIEWER: "vera", Role.OPERATOR: "omar", Role.SAFETY_OFFICER: "sana", Role.MANAGER: "mani", Role.ADMIN: "ada"}


@dataclass
class FakeClock:
    """Time that a test moves."""

    at: datetime = datetime(2026, 11, 20, 19, 42, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the web never sleeps")

    def forward(self, **kw: float) -> None:
        self.at += timedelta(**kw)


@dataclass
class Site:
    """The running application and what stands behind it."""

    app: FastAPI
    link: FakeLink
    users: Users
    store: Store
    clock: FakeClock
    settings: WebSettings
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A new browser: own cookies, sends its origin."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=("127.0.0.1", 50_000))
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN, **headers})
        self.clients.append(client)
        return client

    async def signed_in(self, role: Role = Role.MANAGER) -> httpx.AsyncClient:
        """A browser in which a person of this role has signed in."""
        client = self.client()
        if self.users.get(NAMES[role]) is None:
            self.users.add(NAMES[role], role, PASSWORD)
        answer = await sign_in(client, NAMES[role])
        assert answer.status_code == 303, answer.text
        return client


async def sign_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    """Fill in the sign-in form."""
    form = await client.get("/sign-in")
    return await client.post("/sign-in", data={"csrf": csrf_of(form.text), "name": name, "password": password, "next": "/"})


def csrf_of(html: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', html)
    assert found is not None, html[:300]
    return found[1]


async def form_value(client: httpx.AsyncClient, path: str = "/account") -> str:
    """The value that this session's forms repeat."""
    return csrf_of((await client.get(path)).text)


@asynccontextmanager
async def site(folder: Path, view: NowView | None = None, *, blank: bool = False, **settings: object) -> AsyncIterator[Site]:
    """The application within its lifespan. ``blank``: the core has not spoken yet."""
    clock = FakeClock()
    told = WebSettings(depot_id="kothrud", **({"stale_s": 600.0} | settings))  # type: ignore[arg-type]  # as the test says
    with Store.open(folder / "people.db") as store:
        store.migrate([web])
        link = FakeLink()
        if not blank:
            link.publish(view or sample())
            fill(link, view)
            fill_kit(link)
            fill_bills(link)
            fill_invoices(link)
            fill_books(link)
            fill_anomalies(link)
            fill_health(link)
            fill_reference(link)
            fill_lake(link)
            fill_limits(link)
            fill_passports(link)
            fill_plan(link)
            fill_stations(link)
        app = create_app(told, link, store, clock=clock)
        found = Site(app, link, Users(store, clock, "kothrud"), store, clock, told)
        async with app.router.lifespan_context(app):
            yield found
            for client in found.clients:
                await client.aclose()
