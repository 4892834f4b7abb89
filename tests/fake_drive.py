"""The drivers' site on a fake depot, called in process, and a phone that has scanned."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import httpx
import msgspec
from fake_depot import NOW, FakeLink, sample
from fastapi import FastAPI
from web_harness import FakeClock

from controller.drive_view import (
    DriveBillView,
    DriveGateView,
    DriveMandateView,
    DriveModeView,
    DrivePlaceView,
    DrivePriceView,
    DriveReasonView,
    DriveRunningView,
    DriveSelfView,
    DriveStepView,
    PlaceState,
    WordsView,
)
from controller.invoices_view import InvoiceView
from depot import commands as cmd
from payments.driver_words import words_for
from web.driver_app import DriveSettings, create_drive_app

C = TypeVar("C", bound=cmd.Command)
ORIGIN = "http://127.0.0.1:8085"
SETTINGS = DriveSettings(depot_id="kothrud", url=ORIGIN, key=b"only for tests, thirty-two bytes")
PLACE = DrivePlaceView(
    at=NOW,
    depot="Kothrud Depot",
    timezone="Asia/Kolkata",
    station_id="CP-03",
    evse=1,
    label="CP-03",
    state=PlaceState.PLUGGED,
    rated_w=60_000,
    price=DrivePriceView(
        paise_per_kwh=1711,
        until=NOW.replace(hour=0, minute=30),
        tax_percent=18.0,
        name="Evening",
        steps=[
            DriveStepView(kind="energy", paise=1357, start="22:00", end="06:00", days=[0, 6]),
            DriveStepView(kind="energy", paise=1711),
            DriveStepView(kind="idle", paise=7080, grace_s=900),
        ],
        least_paise=None,
        most_paise=118_000,
    ),
    most_wh=40_000,
    reserved_paise=68_440,
    modes=[
        DriveModeView(mode="autopay", choices_paise=[70_000, 1_000_00, 2_000_00], days=365),
        DriveModeView(mode="reserve", choices_paise=[70_000, 1_000_00], days=90),
        DriveModeView(mode="one_time", choices_paise=[70_000], days=7),
    ],
    session_id="",
    gate=None,
)


def gate(refusal: str = "", headline: str = "may_start.yes", next_step: str = "next.plug_in", *, most_wh: int = 40_000) -> DriveGateView:
    """What the gate says, in the words of the books."""
    return DriveGateView(
        may_start=not refusal,
        refusal=refusal,
        headline=told(headline),
        next_step=told(next_step),
        room_paise=2_000_00,
        most_wh=most_wh,
        owed_paise=0,
    )


def told(key: str) -> WordsView:
    words = words_for(key)
    return WordsView(key=key, english=words.english, hindi=words.hindi)


MANDATE = DriveMandateView(
    mandate_id="m-1", mode="autopay", state="active", max_amount_paise=2_000_00, expire_at=NOW + timedelta(days=365), intent_url=""
)
INTENT = "upi://mandate?pa=yard@bank&pn=Kothrud&am=2000.00&mode=04"


def bill(session_id: str = "s-1", stage: str = "captured", *, hours: float = 3) -> DriveBillView:
    return DriveBillView(
        session_id=session_id,
        opened_at=NOW - timedelta(hours=hours),
        stage=stage,
        invoice_no="2627/000117",
        energy_wh=10_000,
        taxable_paise=14_500,
        cgst_paise=1_305,
        sgst_paise=1_305,
        igst_paise=0,
        round_off_paise=0,
        total_paise=17_110,
    )


def running(session_id: str = "s-2", *, because: str = "site", power_w: int | None = 32_000, key: str = "") -> DriveRunningView:
    return DriveRunningView(
        session_id=session_id,
        station_id="CP-03",
        evse=1,
        label="CP-03",
        started_at=NOW - timedelta(minutes=34),
        energy_wh=18_400,
        power_w=power_w,
        soc=0.64,
        cost_paise=31_482,
        most_wh=40_000,
        most_paise=68_440,
        ends_at=NOW + timedelta(minutes=40) if power_w else None,
        told=told(key) if key else None,
        reason=DriveReasonView(because=because, power_w=32_000, rated_w=60_000) if because else None,
    )


def account(**more: object) -> DriveSelfView:
    values: dict[str, object] = {
        "at": NOW, "timezone": "Asia/Kolkata", "depot": "Kothrud Depot", "known": True, "mandate": MANDATE, "running": [], "ended": [],
        "bills": [],
    }  # fmt: skip
    return DriveSelfView(**(values | more))  # type: ignore[arg-type]  # as the test says


@dataclass
class Drive:
    """The application and what stands behind it. ``accounts``: by driver; who is not in it is not known. ``papers``: by driver and
    session or number."""

    app: FastAPI
    link: FakeLink
    clock: FakeClock
    settings: DriveSettings
    accounts: dict[str, DriveSelfView] = field(default_factory=dict)
    place: DrivePlaceView | None = PLACE
    gate: DriveGateView = field(default_factory=gate)
    papers: dict[tuple[str, str], InvoiceView] = field(default_factory=dict)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def phone(self, *, address: str = "10.0.0.7", **headers: str) -> httpx.AsyncClient:
        """A new phone: no cookie yet."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=(address, 50_000))
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN, **headers}, follow_redirects=False)
        self.clients.append(client)
        return client

    async def scanned(self, **headers: str) -> httpx.AsyncClient:
        """A phone at CP-03."""
        phone = self.phone(**headers)
        answer = await phone.get(self.settings.links.address("CP-03", 1))
        assert (answer.status_code, answer.headers["location"]) == (303, "/drive"), answer.text
        return phone

    async def driver(self, view: DriveSelfView | None = None, **headers: str) -> httpx.AsyncClient:
        """A phone whose driver has a mandate."""
        phone = await self.scanned(**headers)
        answer = await pay(phone)
        assert answer.status_code == 303, answer.text
        self.accounts[self.of(cmd.RegisterMandate)[-1].driver_id] = view or account()
        return phone

    def of(self, kind: type[C]) -> list[C]:
        """The commands of a kind that were sent."""
        return [command for command in self.link.commands if isinstance(command, kind)]

    def says(self, status: cmd.CommandStatus, message: str = "", answer: Mapping[str, object] | None = None) -> None:
        """What the core answers from now on."""

        async def command(command: cmd.Command, *, within_s: float | None = None) -> cmd.CommandResult:
            self.link.commands.append(command)
            return cmd.CommandResult(command.command_id, status, message, 7, answer)

        self.link.command = command  # type: ignore[method-assign]


async def pay(phone: httpx.AsyncClient, /, **more: str) -> httpx.Response:
    """Fill in the form of the second step."""
    page = await phone.get("/drive/pay")
    form = {"csrf": csrf_of(page.text), "choice": "autopay:100000", "phone": "98765 43210", "email": "rani@example.org"} | more
    return await phone.post("/drive/pay", data=form)


async def press(phone: httpx.AsyncClient, page: str, action: str, /, **more: str) -> httpx.Response:
    """Press the button of a page."""
    html = (await phone.get(page)).text
    assert f'action="{action}"' in html, html
    return await phone.post(action, data={"csrf": csrf_of(html)} | more)


def csrf_of(html: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{40})"', html)
    assert found is not None, html[:400]
    return found[1]


@asynccontextmanager
async def drive_site(**settings: object) -> AsyncIterator[Drive]:
    """The site on a fake depot."""
    link, clock = FakeLink(), FakeClock()
    link.publish(sample())
    link.result = cmd.CommandStatus.DONE
    told = replace(SETTINGS, **settings)  # type: ignore[arg-type]  # as the test says
    drive = Drive(create_drive_app(told, link, clock=clock), link, clock, told)

    def place(args: Mapping[str, str]) -> msgspec.Struct | None:
        known = drive.place is not None and (args["station_id"], args["evse"]) == ("CP-03", "1")
        if not known or drive.place is None or args["driver_id"] not in drive.accounts:
            return drive.place if known else None
        return msgspec.structs.replace(drive.place, gate=drive.gate)

    def own(args: Mapping[str, str]) -> msgspec.Struct:
        found = drive.accounts.get(args["driver_id"])
        return found if found is not None else account(known=False, mandate=None)

    def papers(args: Mapping[str, str]) -> msgspec.Struct | None:
        return drive.papers.get((args["driver_id"], args.get("session_id") or args["number"]))

    link.made |= {DrivePlaceView: place, DriveSelfView: own, InvoiceView: papers}
    yield drive
    for client in drive.clients:
        await client.aclose()
