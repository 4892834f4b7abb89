"""The steps of a driver at a charger: scan, pay, approve, charge, the bill; and what is the driver's own: sessions, payment, data.

Each is a plain page with at most one form, works without script, and shows only what belongs to the driver in the cookie.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from controller.drive_view import (
    DriveBillView,
    DriveModeView,
    DrivePlaceView,
    DriveRunningView,
    DriveSelfView,
)
from controller.invoices_view import InvoiceView
from controller.link import CoreUnreachable, LinkProtocol
from depot import commands as cmd
from depot.money_text import short_rupees
from depot.values import ConnectorId, InvalidValue
from web import text
from web.actions import new_id
from web.driver_cookie import new_driver, new_tag
from web.driver_links import qr_svg
from web.driver_price import price_rows
from web.driver_site import DriveProblem, Driver, DriveSite
from web.invoices_api import paper

__all__ = ["Steps"]

WAITS_S = 3
"""A page that waits for somebody else loads itself again after this."""

LIVE_S = 5
TYPICAL_WH = 10_000
REGISTER_S = 25.0
"""How long the gateway may take for a mandate: three requests."""

SETTING_UP = ("new", "link_sent", "intent_open", "initiated")
ENDED = ("rejected", "expired", "cancelled", "link_expired")

_WAYS = {
    "next.set_up": "/drive/pay",
    "next.top_up": "/drive/pay",
    "next.wait": "/drive/pay",
    "next.approve": "/drive/approve",
    "next.resume": "/drive/mandate",
    "next.pay": "/drive/sessions",
}
"""What the gate advises -> where it is done."""

_MOBILE = re.compile(r"(?:\+?91|0)?([6-9]\d{9})")
_EMAIL = re.compile(r"[^@\s<>,;\"]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


class Steps:
    """Each step takes the driver and answers with a page or the way to the next one."""

    def __init__(self, site: DriveSite) -> None:
        self._site = site

    # -- 1. the charger -----------------------------------------------------------------------------------------

    async def scan(self, driver: Driver, station_id: str, evse: str) -> Response:
        """The address in the QR code: a place that exists, with the code that belongs to it."""
        site = self._site
        code = driver.request.query_params.get("k", "")
        number = int(evse) if evse.isdecimal() and len(evse) < 4 else 0
        if not number or len(station_id) > 48 or not site.links.fits(station_id, number, code):
            site.limit(site.wrong, driver.address)
            raise DriveProblem("unknown", 404)
        visitor = driver.visitor if driver.known else site.cookies.fresh(site.now_s)
        return site.remember(RedirectResponse("/drive", 303), visitor.at_place(station_id, number))

    async def place(self, driver: Driver) -> Response:
        """Price and state of the charger, and what to do next."""
        place = await self._place(driver)
        mine = await self._account(driver)
        if place.session_id or (mine is not None and any(r.station_id == place.station_id and r.evse == place.evse for r in mine.running)):
            return RedirectResponse("/drive/charging", 303)
        gate = place.gate if mine is not None and mine.mandate is not None else None
        ready, state = gate is not None and gate.may_start, place.state.value
        until = place.price.until
        return self._site.page(
            driver,
            "drive_place.html",
            refresh_s=0 if state == "plugged" and gate is None else LIVE_S,
            place=place,
            state=state,
            usable=state in ("free", "plugged"),
            ready=ready,
            gate=gate,
            way=_WAYS.get(gate.next_step.key, "") if gate is not None and not ready else "",
            until="" if until is None else text.DepotTime(place.timezone, place.at).local(until).strftime("%H:%M"),
            rows=price_rows(place.price, driver.words),
            mandate=mine.mandate if mine is not None else None,
            typical=short_rupees(round(place.price.paise_per_kwh * TYPICAL_WH / 1000)),
            typical_kwh=TYPICAL_WH // 1000,
        )

    # -- 2. payment ---------------------------------------------------------------------------------------------

    async def pay_form(self, driver: Driver) -> Response:
        """How to pay, and the number that the gateway needs."""
        return await self._pay_form(driver)

    async def _pay_form(self, driver: Driver, *, form: FormData | None = None, errors: dict[str, str] | None = None) -> Response:
        place = await self._place(driver)
        told = {name: str(form.get(name, ""))[:190] if form is not None else "" for name in ("choice", "phone", "email")}
        first = f"{place.modes[0].mode}:{place.modes[0].choices_paise[0]}" if place.modes else ""
        return self._site.page(
            driver,
            "drive_pay.html",
            status=422 if errors else 200,
            place=place,
            errors={"choice": "", "phone": "", "email": ""} | (errors or {}),
            told=told | {"choice": told["choice"] or first},
        )

    async def pay(self, driver: Driver, form: FormData) -> Response:
        """Ask the gateway for a mandate; the next page waits for the PIN."""
        place = await self._place(driver)
        mode, paise = _choice(str(form.get("choice", "")), place.modes)
        mobile = _MOBILE.fullmatch(re.sub(r"[ ()-]", "", str(form.get("phone", ""))[:30]))
        email = str(form.get("email", "")).strip()
        errors = {}
        if mode is None:
            errors["choice"] = "pay.bad_amount"
        if mobile is None:
            errors["phone"] = "pay.bad_phone"
        if len(email) > 190 or not _EMAIL.fullmatch(email):
            errors["email"] = "pay.bad_email"
        if errors or mode is None or mobile is None:
            return await self._pay_form(driver, form=form, errors=errors)
        site = self._site
        site.limit(site.mandates_here, driver.visitor.nonce)
        site.limit(site.mandates_address, driver.address)
        site.limit(site.mandates_all, "")
        driver_id = driver.driver_id or new_driver()
        await self._order(
            driver,
            cmd.RegisterMandate(
                command_id=new_id(),
                actor=f"driver {driver_id}",
                reason="asked for on the driver's page",
                driver_id=driver_id,
                id_tag=new_tag(),
                mode=mode.mode,
                max_amount_paise=paise,
                expire_at=place.at + timedelta(days=mode.days),
                name="Guest",
                email=email,
                contact=f"+91{mobile[1]}",
            ),
            within_s=REGISTER_S,
        )
        visitor = driver.visitor
        if not driver.driver_id:  # from now on the cookie is worth something: a new one
            visitor = site.cookies.fresh(site.now_s, place=visitor.place, driver_id=driver_id, language=visitor.language)
        return site.remember(RedirectResponse("/drive/approve", 303), visitor)

    async def approve(self, driver: Driver) -> Response:
        """The way into the UPI app, until the driver has said yes or no."""
        mine = await self._account(driver)
        mandate = mine.mandate if mine is not None else None
        if mine is None or mandate is None:
            return RedirectResponse("/drive/pay", 303)
        if mandate.state == "active":
            return RedirectResponse("/drive", 303)
        waits = mandate.state in SETTING_UP
        url = mandate.intent_url if mandate.intent_url.startswith("upi://") else ""
        return self._site.page(
            driver,
            "drive_approve.html",
            refresh_s=WAITS_S if waits else 0,
            mandate=mandate,
            waits=waits,
            ended=mandate.state in ENDED,
            url=url,
            mock=f"{self._site.mock_app}/open?{urlencode({'link': url})}" if url and self._site.mock_app else "",
            qr=qr_svg(url, title=driver.words("approve.scan"), css="qr big") if url else "",
            until=text.DepotTime(mine.timezone, mine.at).local(mandate.expire_at).strftime("%-d %b %Y"),
        )

    # -- 3. charging --------------------------------------------------------------------------------------------

    async def start(self, driver: Driver, _: FormData) -> Response:
        """Ask the charger to start."""
        place = await self._place(driver)
        if not driver.driver_id:
            raise DriveProblem("refused", 409, said=driver.words("said.no_mandate"))
        self._site.limit(self._site.orders, driver.driver_id)
        try:
            key = ConnectorId(place.station_id, place.evse)
        except InvalidValue:
            raise DriveProblem("unknown", 404) from None
        await self._order(
            driver,
            cmd.DriveStart(
                command_id=new_id(),
                actor=f"driver {driver.driver_id}",
                reason="started on the driver's page",
                connector=key,
                driver_id=driver.driver_id,
            ),
        )
        return RedirectResponse("/drive/charging?begun=1", 303)

    async def charging(self, driver: Driver) -> Response:
        """Energy, cost and power of what runs; then the way to its bill."""
        mine = await self._need_account(driver)
        running = _here(mine.running, driver)
        if running is None and mine.ended:
            return RedirectResponse(f"/drive/sessions/{mine.ended[-1]}", 303)
        begun = driver.request.query_params.get("begun", "")
        tries = int(begun) if begun.isdecimal() and len(begun) < 3 else 0
        if running is None and tries and tries < 20:
            return self._site.page(driver, "drive_starting.html", refresh_s=WAITS_S, next=f"/drive/charging?begun={tries + 1}")
        if running is None:
            return self._site.page(driver, "drive_charging.html", s=None)
        seconds = max(0, int((mine.at - running.started_at).total_seconds()))
        why = running.reason
        reason = None
        if why is not None:
            words = f"why.{why.because}" if driver.words.has(f"why.{why.because}") else "why.site"
            reason = {"power": text.kw(max(0, why.power_w)), "rated": text.kw(why.rated_w), "key": words}
        clock = text.DepotTime(mine.timezone, mine.at)
        return self._site.page(
            driver,
            "drive_charging.html",
            refresh_s=LIVE_S,
            s=running,
            minutes=seconds // 60,
            reason=reason,
            soc=running.soc,
            ends="" if running.ends_at is None else clock.clock(running.ends_at),
            top_up=running.told is not None and running.told.key == "warned.top_up",
        )

    async def stop(self, driver: Driver, form: FormData) -> Response:
        """End the own session."""
        mine = await self._need_account(driver)
        session_id = str(form.get("session", ""))[:80]
        if session_id not in {running.session_id for running in mine.running}:
            return RedirectResponse("/drive/charging", 303)
        self._site.limit(self._site.orders, driver.driver_id)
        await self._order(
            driver,
            cmd.DriveStop(
                command_id=new_id(),
                actor=f"driver {driver.driver_id}",
                reason="stopped on the driver's page",
                driver_id=driver.driver_id,
                session_id=session_id,
            ),
        )
        return RedirectResponse(f"/drive/sessions/{session_id}", 303)

    # -- 4. and 5. the bill, and what is the driver's own -----------------------------------------------------------

    async def sessions(self, driver: Driver) -> Response:
        """The driver's own sessions."""
        mine = await self._account(driver)
        clock = text.DepotTime(mine.timezone, mine.at) if mine is not None else None
        rows = [(bill, clock.clock(bill.opened_at)) for bill in mine.bills] if mine is not None and clock is not None else []
        return self._site.page(driver, "drive_sessions.html", rows=rows, running=mine.running if mine is not None else [])

    async def session(self, driver: Driver, session_id: str) -> Response:
        """One session's bill; waits while it is made."""
        mine = await self._need_account(driver)
        if any(running.session_id == session_id for running in mine.running):
            return self._site.page(driver, "drive_starting.html", refresh_s=WAITS_S, next="", stopping=True)
        bill = _own_bill(mine, session_id)
        if session_id in mine.ended or (bill is not None and bill.stage == "estimated"):
            return self._site.page(driver, "drive_billing.html", refresh_s=WAITS_S)
        if bill is None:
            raise DriveProblem("missing", 404)
        clock = text.DepotTime(mine.timezone, mine.at)
        invoice = await self._invoice_of(driver, session_id) if bill.invoice_no else None
        return self._site.page(
            driver,
            "drive_session.html",
            b=bill,
            started=clock.local(bill.opened_at).strftime("%-d %b %Y, %H:%M"),
            due="" if bill.due_at is None else clock.local(bill.due_at).strftime("%-d %b %Y, %H:%M"),
            invoice=invoice,
        )

    async def invoice_pdf(self, driver: Driver, session_id: str) -> Response:
        """The invoice, or a note (``?number=``), as a PDF; of an own session only."""
        return await paper(await self._document(driver, session_id), "pdf", inline=True)

    async def invoice(self, driver: Driver, session_id: str) -> Response:
        """The same as a page of its own."""
        return await paper(await self._document(driver, session_id), "html", inline=True)

    async def _invoice_of(self, driver: Driver, session_id: str) -> InvoiceView | None:
        """A debit note's money is a bill of its own, with a + in its id."""
        wanted = session_id[:80].partition("+")[0]
        if not driver.driver_id or not wanted:
            return None
        return await self._site.link.show(InvoiceView, session_id=wanted, driver_id=driver.driver_id)

    async def _document(self, driver: Driver, session_id: str) -> InvoiceView:
        """What is asked for; raises :class:`DriveProblem`."""
        found = await self._invoice_of(driver, session_id)
        number = driver.request.query_params.get("number", "")
        if found is not None and number and number != found.row.number:
            ours = number in found.others
            found = await self._site.link.show(InvoiceView, number=number, driver_id=driver.driver_id) if ours else None
        if found is None:
            raise DriveProblem("missing", 404)
        return found

    async def mandate(self, driver: Driver) -> Response:
        """The payment that is set up, and how it is paused or ended."""
        mine = await self._account(driver)
        mandate = mine.mandate if mine is not None else None
        until = ""
        if mine is not None and mandate is not None:
            until = text.DepotTime(mine.timezone, mine.at).local(mandate.expire_at).strftime("%-d %b %Y")
        return self._site.page(
            driver,
            "drive_mandate.html",
            mandate=mandate,
            until=until,
            place=bool(driver.visitor.place),
            done=driver.request.query_params.get("done") == "1",
            can_end=mandate is not None and mandate.state in ("active", "paused"),
        )

    async def end_mandate(self, driver: Driver, _: FormData) -> Response:
        """Have the gateway end the own mandate."""
        mine = await self._need_account(driver)
        if mine.mandate is None:
            return RedirectResponse("/drive/mandate", 303)
        self._site.limit(self._site.orders, driver.driver_id)
        command = cmd.RevokeMandate(
            command_id=new_id(),
            actor=f"driver {driver.driver_id}",
            reason="ended on the driver's page",
            mandate_id=mine.mandate.mandate_id,
        )
        await self._order(driver, command, within_s=REGISTER_S)
        return RedirectResponse("/drive/mandate?done=1", 303)

    async def privacy(self, driver: Driver) -> Response:
        """What is kept, for how long, and how it ends."""
        mine = await self._account(driver)
        return self._site.page(driver, "drive_privacy.html", known=mine is not None, pending=False)

    async def data(self, driver: Driver, _: FormData) -> Response:
        """Everything that is kept of the driver, as a file."""
        await self._need_account(driver)
        self._site.limit(self._site.orders, driver.driver_id)
        result = await self._order(
            driver,
            cmd.TellDriverData(
                command_id=new_id(), actor=f"driver {driver.driver_id}", reason="asked for on the driver's page", driver_id=driver.driver_id
            ),
        )
        body = json.dumps(dict(result.answer or {}), ensure_ascii=False, indent=1)
        return Response(body, media_type="application/json", headers={"content-disposition": 'attachment; filename="my-data.json"'})

    async def erase(self, driver: Driver, form: FormData) -> Response:
        """Erase the driver; the phone is forgotten."""
        await self._need_account(driver)
        if form.get("sure") != "1":
            raise DriveProblem("refused", 422, said=driver.words("said.sure"))
        self._site.limit(self._site.orders, driver.driver_id)
        command = cmd.EraseDriver(
            command_id=new_id(), actor=f"driver {driver.driver_id}", reason="asked for on the driver's page", driver_id=driver.driver_id
        )
        result = await self._order(driver, command, within_s=REGISTER_S)
        if result.status is cmd.CommandStatus.ACCEPTED:
            return self._site.page(driver, "drive_privacy.html", known=True, pending=True)
        return self._site.forget(self._site.page(driver, "drive_erased.html"))

    # -- the core -----------------------------------------------------------------------------------------------

    async def _place(self, driver: Driver) -> DrivePlaceView:
        """The place that was scanned; raises :class:`DriveProblem`."""
        visitor = driver.visitor
        if not driver.known or not visitor.place:
            raise DriveProblem("scan", 404)
        asked = {"station_id": visitor.station_id, "evse": str(visitor.evse), "driver_id": driver.driver_id}
        place = await self._site.link.show(DrivePlaceView, **asked)
        if place is None:
            raise DriveProblem("unknown", 404)
        return place

    async def _account(self, driver: Driver) -> DriveSelfView | None:
        """The driver's own account; None for nobody, or who was erased."""
        if not driver.driver_id:
            return None
        mine = await self._site.link.show(DriveSelfView, driver_id=driver.driver_id)
        return mine if mine is not None and mine.known else None

    async def _need_account(self, driver: Driver) -> DriveSelfView:
        mine = await self._account(driver)
        if mine is None:
            raise DriveProblem("scan", 404)
        return mine

    async def _order(self, driver: Driver, command: cmd.Command, *, within_s: float | None = None) -> cmd.CommandResult:
        """Send; raises :class:`DriveProblem` with the driver's words where it is refused or failed."""
        try:
            result = await self._site.link.command(command, within_s=within_s)
        except LinkProtocol as error:
            raise DriveProblem("refused", 409, said=driver.words("said.other", words=str(error)[:200])) from None
        except TimeoutError:
            raise CoreUnreachable("no answer in time") from None
        if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
            said = str((result.answer or {}).get("say", "")) or "other"
            key = f"said.{said}" if driver.words.has(f"said.{said}") else "said.other"
            raise DriveProblem("refused", 409, said=driver.words(key, words=result.message[:200]))
        return result


def _choice(words: str, modes: list[DriveModeView]) -> tuple[DriveModeView | None, int]:
    """``autopay:50000`` as one of what was offered."""
    name, _, paise = words.partition(":")
    mode = next((m for m in modes if m.mode == name and paise.isdecimal() and int(paise[:12]) in m.choices_paise), None)
    return (mode, int(paise[:12])) if mode is not None else (None, 0)


def _here(running: list[DriveRunningView], driver: Driver) -> DriveRunningView | None:
    """The session at the place that was scanned, else the newest."""
    at_place: Any = next((r for r in running if f"{r.station_id}/{r.evse}" == driver.visitor.place), None)
    return at_place or max(running, key=lambda r: r.started_at, default=None)


def _own_bill(mine: DriveSelfView, session_id: str) -> DriveBillView | None:
    return next((bill for bill in mine.bills if bill.session_id == session_id), None)
