"""The drivers' site: from the scan to the invoice, each driver's own and nobody else's, in two languages, without script."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlencode

import msgspec
import pytest
from fake_drive import INTENT, MANDATE, ORIGIN, PLACE, account, bill, csrf_of, drive_site, gate, pay, press, running, told
from fake_invoices import invoice
from fastapi.routing import APIRoute
from starlette.routing import Route

from controller.drive_view import DriveStepView, PlaceState
from depot import commands as cmd
from depot.money_text import rupees
from depot.values import Because
from payments.driver_tariff import Kind
from payments.states import MandateState, Mode, Stage
from web.driver_app import ROUTES
from web.driver_cookie import Cookies, Visitor, new_driver, new_tag
from web.driver_limits import Limits, Rate
from web.driver_links import PlaceLinks, qr_svg
from web.driver_price import price_rows
from web.driver_words import Words, catalogue, wished

pytestmark = pytest.mark.anyio
DEVANAGARI = re.compile(r"[\u0900-\u097f]")


# -- words --------------------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_keys_and_the_same_places_for_values() -> None:
    english, hindi = catalogue("en"), catalogue("hi")
    assert english.keys() == hindi.keys()
    for key, words in english.items():
        assert words.strip(), key
        assert sorted(re.findall(r"\{\w+\}", words)) == sorted(re.findall(r"\{\w+\}", hindi[key])), key


def test_hindi_is_hindi() -> None:
    same = {"pay.autopay", "pay.reserve", "done.cgst", "done.sgst", "done.igst", "site.step", "tariff.per_energy"}
    assert {key for key, words in catalogue("hi").items() if not DEVANAGARI.search(words)} == same


def test_every_state_has_words_in_both_languages() -> None:
    wanted = {f"stage.{stage}" for stage in Stage} | {f"mandate_state.{state}" for state in MandateState}
    wanted |= {f"pay.{mode}" for mode in Mode} | {f"place.{state}" for state in PlaceState} | {f"why.{because}" for because in Because}
    assert wanted <= catalogue("en").keys()


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "en"), ("hi-IN,hi;q=0.9,en;q=0.8", "hi"), ("mr,en;q=0.5,hi;q=0.7", "hi"), ("de", "en"), ("hi;q=0,en", "en"), ("hi;q=x", "en")],
)
def test_the_language_that_the_browser_wishes(header: str, language: str) -> None:
    assert wished(header) == language
    assert Words(language).other != language


# -- cookies, links, limits -----------------------------------------------------------------------------------------------


def test_a_cookie_opens_only_as_it_was_sealed() -> None:
    cookies, other = Cookies(b"k" * 32, 1000), Cookies(b"o" * 32, 1000)
    visitor = cookies.fresh(5_000, place="CP-03/1", driver_id="g-abc", language="hi")
    sealed = cookies.seal(visitor)
    assert cookies.open(sealed, 5_000) == visitor
    assert (visitor.station_id, visitor.evse) == ("CP-03", 1)
    payload, _, mac = sealed.partition(".")
    forged = Cookies(b"k" * 32, 1000).seal(Visitor("n", driver_id="g-other", since_s=5_000)).partition(".")[0]
    near = mac[:-1] + ("0" if mac[-1] != "0" else "1")
    for value in ("", ".", payload, f"{payload}.", f"{forged}.{mac}", f"{payload}.{near}", "a" * 5_000, other.seal(visitor)):
        assert cookies.open(value, 5_000) is None, value
    assert cookies.open(sealed, 6_001) is None
    assert cookies.open(sealed, 4_000) is None  # from a clock that is not ours


def test_forms_are_the_visitors_own() -> None:
    cookies = Cookies(b"k" * 32, 1000)
    one, two = cookies.fresh(0), cookies.fresh(0)
    assert cookies.is_own(one, cookies.csrf(one))
    assert not cookies.is_own(one, cookies.csrf(two))
    assert not cookies.is_own(one, None)
    assert cookies.csrf(one) not in cookies.seal(one)


def test_ids_and_tags_are_random_and_fit() -> None:
    ids, tags = {new_driver() for _ in range(200)}, {new_tag() for _ in range(200)}
    assert len(ids) == len(tags) == 200
    assert all(re.fullmatch(r"g-[a-z]{20}", found) for found in ids)
    assert all(re.fullmatch(r"G[A-Z2-9]{19}", found) for found in tags)


def test_a_place_has_a_code_of_its_own() -> None:
    links = PlaceLinks("https://charge.example", b"k" * 32)
    assert links.address("CP 03/x", 1).startswith("https://charge.example/drive/c/CP%2003%2Fx/1?k=")
    assert links.fits("CP-03", 1, links.code("CP-03", 1).upper())
    codes = {links.code(station, evse) for station in ("CP-03", "CP-04") for evse in (1, 2)}
    assert len(codes) == 4
    assert not links.fits("CP-03", 2, links.code("CP-03", 1))
    assert links.code("CP-03", 1) != PlaceLinks("https://charge.example", b"x" * 32).code("CP-03", 1)


def test_a_qr_code_is_plain_svg() -> None:
    svg = qr_svg("https://charge.example/drive/c/CP-03/1?k=abc", title="CP-03 <1>")
    assert svg.startswith("<svg")
    assert "style=" not in svg
    assert "<title>CP-03 &lt;1&gt;</title>" in svg


def test_chances_come_back_and_memory_is_bounded() -> None:
    limits = Limits(Rate(2, 3600))
    assert [limits.take("a", 0.0) > 0 for _ in range(3)] == [False, False, True]
    assert limits.take("b", 0.0) == 0
    assert limits.take("a", 1.0) == 0
    for k in range(12_000):
        limits.take(str(k), 1.0)
    assert len(limits._left) <= 10_000


# -- the way ------------------------------------------------------------------------------------------------------------


async def test_only_the_named_addresses_are_there() -> None:
    async with drive_site() as drive:
        found = {
            (method, route.path)
            for route in drive.app.routes
            if isinstance(route, Route | APIRoute)
            for method in (route.methods or ())
            if method != "HEAD"
        }
        assert found == ROUTES
        phone = await drive.scanned()
        for path in (
            "/",
            "/sign-in",
            "/api/v1/now",
            "/payments",
            "/docs",
            "/openapi.json",
            "/drive/../sign-in",
            "/static/x/page.js",
            "/metrics",
        ):
            answer = await phone.get(path)
            assert answer.status_code == 404, path
        assert (await phone.get("/drive/static/x/page.js")).status_code == 404
        assert (await phone.get("/robots.txt")).text == "User-agent: *\nDisallow: /\n"


async def test_a_scan_leads_to_the_charger() -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        page = (await phone.get("/drive")).text
    for words in (
        "CP-03",
        "Kothrud Depot",
        "₹17.11",
        "Plugged in",
        "प्लग लगा है",
        "up to 60 kW",
        "40.0 kWh",
        "₹171.10",
        "₹13.57",
        "until 06:00, GST",
    ):
        assert words in page, words
    assert 'href="/drive/pay"' in page
    assert "style=" not in page
    assert "<script" not in page


@pytest.mark.parametrize(
    "path",
    ["/drive/c/CP-03/1", "/drive/c/CP-03/1?k=aaaaaaaaaaaa", "/drive/c/CP-99/1?k=x", "/drive/c/CP-03/99999?k=x", "/drive/c/CP-03/x?k=x"],
)
async def test_a_guessed_place_tells_nothing(path: str) -> None:
    async with drive_site() as drive:
        phone = drive.phone()
        answer = await phone.get(path)
        assert answer.status_code == 404
        assert "This code is not known" in answer.text
        assert "set-cookie" not in answer.headers
        assert drive.link.asked == []  # the same answer for what is there and what is not, and in the same time


async def test_who_guesses_is_stopped() -> None:
    async with drive_site() as drive:
        phone = drive.phone()
        codes = [(await phone.get(f"/drive/c/CP-03/1?k={k}")).status_code for k in range(25)]
        assert codes[:20] == [404] * 20
        assert codes[-1] == 429
        assert (await drive.phone(address="10.0.0.8").get("/drive/c/CP-03/1?k=x")).status_code == 404


async def test_without_a_scan_there_is_nothing() -> None:
    async with drive_site() as drive:
        for path in ("/drive", "/drive/pay", "/drive/charging"):
            answer = await drive.phone().get(path)
            assert answer.status_code == 404
            assert "Scan the code at the charger" in answer.text


async def test_a_charger_that_was_taken_away_is_told() -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        drive.place = None
        assert (await phone.get("/drive")).status_code == 404


@pytest.mark.parametrize(
    ("state", "words", "goes_on"),
    [
        (PlaceState.FREE, "Free", True),
        (PlaceState.CHARGING, "Choose another charger", False),
        (PlaceState.OUT, "Out of service", False),
        (PlaceState.OFFLINE, "Offline", False),
        (PlaceState.RESERVED, "Reserved", False),
    ],
)
async def test_each_state_of_a_charger(state: PlaceState, words: str, goes_on: bool) -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        drive.place = msgspec.structs.replace(PLACE, state=state)
        page = (await phone.get("/drive")).text
    assert words in page
    assert ('href="/drive/pay"' in page) is goes_on


async def test_payment_asks_the_gateway_and_makes_the_cookie_worth_something() -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        before = phone.cookies["chargeyard-drive"]
        page = (await phone.get("/drive/pay")).text
        for words in ("UPI AutoPay", "UPI Reserve Pay", "Once only", "₹2,000", "No UPI ID is typed", "₹684.40", 'value="one_time:70000"'):
            assert words in page, words
        assert "vpa" not in page.lower()
        answer = await pay(phone, choice="reserve:100000", phone="+91 98765-43210")
        assert (answer.status_code, answer.headers["location"]) == (303, "/drive/approve")
        (command,) = drive.of(cmd.RegisterMandate)
        assert (command.mode, command.max_amount_paise, command.contact) == ("reserve", 1_000_00, "+919876543210")
        assert (command.expire_at - PLACE.at).days == 90
        assert command.actor == f"driver {command.driver_id}"
        after = phone.cookies["chargeyard-drive"]
        assert after != before
        sent = answer.headers["set-cookie"]
        assert "HttpOnly" in sent
        assert "SameSite=lax" in sent
        assert "9876543210" not in sent


async def test_over_https_the_cookie_is_for_it_alone() -> None:
    async with drive_site(tls=True) as drive:
        answer = await drive.phone().get(drive.settings.links.address("CP-03", 1))
        assert answer.headers["set-cookie"].startswith("__Host-chargeyard-drive=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age=31536000" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("phone", "12345", "Ten digits"),
        ("phone", "5876543210", "Ten digits"),
        ("phone", "<script>", "Ten digits"),
        ("email", "rani", "name@example.org"),
        ("email", "a b@example.org", "name@example.org"),
        ("choice", "", "Choose an amount"),
        ("choice", "autopay:1", "Choose an amount"),
        ("choice", "autopay:99999999999999999999", "Choose an amount"),
        ("choice", "gold:70000", "Choose an amount"),
    ],
)
async def test_what_cannot_be_is_told_at_its_field(field: str, value: str, words: str) -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        answer = await pay(phone, **{field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert "<script>" not in answer.text
    assert drive.of(cmd.RegisterMandate) == []


async def test_the_upi_app_is_opened_by_intent_or_code_and_the_page_waits() -> None:
    async with drive_site() as drive:
        waiting = msgspec.structs.replace(MANDATE, state="intent_open", intent_url=INTENT)
        phone = await drive.driver(account(mandate=waiting))
        page = (await phone.get("/drive/approve")).text
        assert INTENT.replace("&", "&amp;") in page
        assert 'class="qr big"' in page
        assert '<meta http-equiv="refresh" content="3">' in page
        assert "Waiting for your PIN" in page
        assert "mock" not in page
        drive.accounts = dict.fromkeys(drive.accounts, account())
        assert (await phone.get("/drive/approve")).headers["location"] == "/drive"


async def test_with_a_mock_gateway_the_upi_app_can_be_played() -> None:
    async with drive_site(mock_app="http://127.0.0.1:8090/app") as drive:
        waiting = msgspec.structs.replace(MANDATE, state="intent_open", intent_url=INTENT)
        page = (await (await drive.driver(account(mandate=waiting))).get("/drive/approve")).text
        assert f"http://127.0.0.1:8090/app/open?{urlencode({'link': INTENT})}" in page
        assert "no money moves" in page


async def test_a_link_that_is_no_upi_link_is_not_shown() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(mandate=msgspec.structs.replace(MANDATE, state="intent_open", intent_url="javascript:alert(1)")))
        page = (await phone.get("/drive/approve")).text
    assert "javascript:" not in page


@pytest.mark.parametrize("state", ["rejected", "cancelled", "expired", "link_expired"])
async def test_a_mandate_that_was_not_approved_says_what_to_do(state: str) -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(mandate=msgspec.structs.replace(MANDATE, state=state)))
        page = (await phone.get("/drive/approve")).text
    assert "It was not approved" in page
    assert 'href="/drive/pay"' in page
    assert "http-equiv" not in page


async def test_a_driver_starts_with_the_own_id() -> None:
    async with drive_site() as drive:
        phone = await drive.driver()
        answer = await press(phone, "/drive", "/drive/start")
        assert answer.headers["location"] == "/drive/charging?begun=1"
        (command,) = drive.of(cmd.DriveStart)
        assert str(command.connector) == "CP-03/1"
        assert command.driver_id == drive.of(cmd.RegisterMandate)[0].driver_id
        page = await phone.get("/drive/charging?begun=1")
        assert "url=/drive/charging?begun=2" in page.text
        assert "The charger is starting" in page.text
        assert "Nothing is charging" in (await phone.get("/drive/charging?begun=20")).text


async def test_the_tariff_is_told_step_by_step_in_both_languages() -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        page = (await phone.get("/drive")).text
        for words in ("22:00 to 06:00; Mon, Sun", "Parking after full", "first 15 min free", "₹70.80", "/ h", "at most", "₹1,180.00"):
            assert words in page, words
        await phone.get("/drive/language/hi")
        page = (await phone.get("/drive")).text
        for words in ("22:00 से 06:00; सोम, रवि", "भरने के बाद पार्किंग", "पहले 15 मिनट मुफ़्त", "/ घंटा"):
            assert words in page, words


def test_every_kind_of_step_has_words() -> None:
    everything = DriveStepView(
        kind="energy", paise=1, first_day=date(2026, 12, 1), last_day=date(2026, 12, 24), from_wh=5_000, to_wh=20_000,
        from_s=600, to_s=3_600,
    )  # fmt: skip
    steps = [everything, *(DriveStepView(kind=kind.value, paise=1) for kind in Kind)]
    rows = price_rows(msgspec.structs.replace(PLACE.price, steps=steps), Words("en"))
    assert rows[0][1] == "from 1 Dec 2026; until 24 Dec 2026; above 5 kWh; up to 20 kWh; after 10 min; in the first 60 min"
    assert rows[1][1] == "at other times"
    assert [row[3] for row in rows[1:]] == ["/ kWh", "/ h", "/ h", "/ session"]
    assert price_rows(msgspec.structs.replace(PLACE.price, steps=[DriveStepView(kind="energy", paise=1)]), Words("en")) == []


@pytest.mark.parametrize(
    ("refusal", "headline", "next_step", "way"),
    [
        ("block_too_small", "may_start.block_too_small", "next.top_up", "/drive/pay"),
        ("in_arrears", "may_start.in_arrears", "next.pay", "/drive/sessions"),
        ("mandate_paused", "may_start.mandate_paused", "next.resume", "/drive/mandate"),
        ("mandate_not_active", "may_start.waits", "next.approve", "/drive/approve"),
        ("exposure", "may_start.exposure", "next.wait", "/drive/pay"),
    ],
)
async def test_who_may_not_start_reads_why_and_what_to_do(refusal: str, headline: str, next_step: str, way: str) -> None:
    async with drive_site() as drive:
        drive.gate = gate(refusal, headline, next_step)
        phone = await drive.driver()
        page = (await phone.get("/drive")).text
        assert told(headline).english in page
        assert told(next_step).english in page
        assert f'class="btn primary big" href="{way}"' in page
        assert "/drive/start" not in page
        await phone.get("/drive/language/hi")
        page = (await phone.get("/drive")).text
        assert told(headline).hindi in page
        assert told(next_step).hindi in page


async def test_a_smaller_session_is_told_before_it_begins() -> None:
    async with drive_site() as drive:
        drive.gate = gate("", "may_start.smaller", most_wh=6_200)
        page = (await (await drive.driver()).get("/drive")).text
    assert "up to 6.2 kWh" in page
    assert 'action="/drive/start"' in page


async def test_a_block_that_is_nearly_used_is_told_while_it_charges() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(running=[running(key="warned.top_up")]))
        page = (await phone.get("/drive/charging")).text
        assert "The reserved amount is nearly used" in page
        assert 'href="/drive/pay"' in page
        assert "or ₹684.40." in page
        drive.accounts = dict.fromkeys(drive.accounts, account(running=[running(key="stopped.mandate_lost")]))
        page = (await phone.get("/drive/charging")).text
        assert "your mandate is no longer active" in page
        assert 'class="btn primary big" href="/drive/pay"' not in page


async def test_a_refused_start_is_told_in_the_drivers_language() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(**{"accept-language": "hi"})
        drive.says(cmd.CommandStatus.REFUSED, "plug the cable in first", {"say": "plug_first"})
        answer = await press(phone, "/drive", "/drive/start")
        assert answer.status_code == 409
        assert "पहले केबल लगाएँ" in answer.text
        drive.says(cmd.CommandStatus.FAILED, "strange <words>")
        answer = await press(phone, "/drive", "/drive/start")
        assert "strange &lt;words&gt;" in answer.text


async def test_live_energy_cost_and_why_not_more() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(running=[running()]))
        assert (await phone.get("/drive")).headers["location"] == "/drive/charging"
        page = (await phone.get("/drive/charging")).text
        for words in ("18.4", "₹314.82", "32", "34", "64 %", "32 instead of 60 kW: the depot&#39;s power is shared", 'content="5"'):
            assert words in page, words
        drive.accounts = dict.fromkeys(drive.accounts, account(running=[running(because="", power_w=None)]))
        page = (await phone.get("/drive/charging")).text
        assert "instead of" not in page
        assert "not known now" in page


async def test_stop_and_the_way_to_the_bill() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(running=[running()]))
        answer = await press(phone, "/drive/charging", "/drive/stop", session="s-2")
        assert answer.headers["location"] == "/drive/sessions/s-2"
        assert drive.of(cmd.DriveStop)[0].session_id == "s-2"
        assert "was told to stop" in (await phone.get("/drive/sessions/s-2")).text
        drive.accounts = dict.fromkeys(drive.accounts, account(ended=["s-2"]))
        assert (await phone.get("/drive/charging")).headers["location"] == "/drive/sessions/s-2"
        assert "The bill is being made" in (await phone.get("/drive/sessions/s-2")).text
        drive.accounts = dict.fromkeys(drive.accounts, account(bills=[bill("s-2", "pdn_delivered")]))
        page = (await phone.get("/drive/sessions/s-2")).text
        for words in ("2627/000117", "10.00", "₹145.00", "₹13.05", "₹171.10", "The debit is announced"):
            assert words in page, words


async def test_the_invoice_comes_as_page_and_pdf() -> None:
    async with drive_site() as drive:
        noticed = msgspec.structs.replace(bill("s-1", "pdn_delivered"), due_at=PLACE.at, credited_paise=1_711)
        phone = await drive.driver(account(bills=[noticed]))
        rani = next(iter(drive.accounts))
        drive.papers = {(rani, "s-1"): invoice(unpaid=False), (rani, "2627/C000004"): invoice(unpaid=False)}
        page = (await phone.get("/drive/sessions/s-1")).text
        for words in ("Debited on", "note 2627/C000004", "₹17.11", 'href="/drive/sessions/s-1/invoice.pdf"'):
            assert words in page, words
        paper = await phone.get("/drive/sessions/s-1/invoice.pdf")
        assert paper.content.startswith(b"%PDF")
        assert paper.headers["content-disposition"].startswith("inline")
        shown = await phone.get("/drive/sessions/s-1/invoice")
        assert "2627/000117" in shown.text
        assert "कर चालान" in shown.text
        assert "style-src 'sha256-" in shown.headers["content-security-policy"]
        assert "unsafe-inline" not in shown.headers["content-security-policy"]
        assert "upi://pay" not in shown.text
        assert (await phone.get("/drive/sessions/s-1/invoice?number=2627/C000004")).status_code == 200
        assert (await phone.get("/drive/sessions/s-1/invoice?number=2627/999999")).status_code == 404
        assert (await phone.get("/drive/sessions/s-1+1/invoice")).status_code == 200  # the money of a debit note


async def test_an_unpaid_bill_says_how_it_is_paid_by_hand() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(bills=[bill("s-1", "arrears")]))
        paper = invoice()
        drive.papers[(next(iter(drive.accounts)), "s-1")] = paper
        assert f"{rupees(paper.owed_paise)} is unpaid" in (await phone.get("/drive/sessions/s-1")).text
        assert "upi://pay?pa=kothrud@okaxis" in (await phone.get("/drive/sessions/s-1/invoice")).text


async def test_a_driver_sees_and_stops_only_the_own() -> None:
    async with drive_site() as drive:
        rani = await drive.driver(account(running=[running("s-rani")], bills=[bill("s-old")]))
        omar = await drive.driver(account(), address="10.0.0.9")
        assert (await omar.get("/drive/sessions/s-old")).status_code == 404
        drive.papers[(next(iter(drive.accounts)), "s-old")] = invoice()
        for paper in ("invoice.pdf", "invoice"):
            assert (await omar.get(f"/drive/sessions/s-old/{paper}")).status_code == 404
        page = (await omar.get("/drive")).text
        answer = await omar.post("/drive/stop", data={"csrf": csrf_of(page), "session": "s-rani"})
        assert answer.headers["location"] == "/drive/charging"
        assert drive.of(cmd.DriveStop) == []
        assert (await rani.get("/drive/sessions/s-old")).status_code == 200
        assert {args["driver_id"] for _, args in drive.link.asked if "driver_id" in args} <= {"", *drive.accounts}


async def test_my_sessions_newest_first_with_states() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(bills=[bill("s-2", "arrears", hours=1), bill("s-1", "captured", hours=30)]))
        page = (await phone.get("/drive/sessions")).text
        assert page.index("Unpaid: please settle") < page.index("Paid</span>")
        assert "No sessions yet" in (await (await drive.scanned()).get("/drive/sessions")).text


async def test_payment_is_shown_and_ended() -> None:
    async with drive_site() as drive:
        phone = await drive.driver()
        page = (await phone.get("/drive/mandate")).text
        for words in ("Active", "UPI AutoPay", "₹2,000", "open your UPI app"):
            assert words in page, words
        answer = await press(phone, "/drive/mandate", "/drive/mandate/end")
        assert answer.headers["location"] == "/drive/mandate?done=1"
        assert drive.of(cmd.RevokeMandate)[0].mandate_id == "m-1"
        assert "No payment is set up" in (await (await drive.scanned()).get("/drive/mandate")).text


async def test_the_own_data_are_told_and_erased() -> None:
    async with drive_site() as drive:
        phone = await drive.driver()
        drive.says(cmd.CommandStatus.DONE, "all", {"contact": {"phone": "+919876543210"}})
        answer = await press(phone, "/drive/privacy", "/drive/privacy/data")
        assert answer.json() == {"contact": {"phone": "+919876543210"}}
        assert "attachment" in answer.headers["content-disposition"]
        assert "Tick the box first" in (await press(phone, "/drive/privacy", "/drive/privacy/erase")).text
        assert drive.of(cmd.EraseDriver) == []
        drive.says(cmd.CommandStatus.ACCEPTED, "the gateway was told")
        assert "Come back in a minute" in (await press(phone, "/drive/privacy", "/drive/privacy/erase", sure="1")).text
        drive.says(cmd.CommandStatus.REFUSED, "money is still owed")
        assert "money is still owed" in (await press(phone, "/drive/privacy", "/drive/privacy/erase", sure="1")).text
        drive.says(cmd.CommandStatus.DONE, "erased")
        answer = await press(phone, "/drive/privacy", "/drive/privacy/erase", sure="1")
        assert "Your data are erased" in answer.text
        assert "chargeyard-drive" not in phone.cookies
        assert {command.actor for command in drive.of(cmd.EraseDriver)} == {f"driver {drive.of(cmd.EraseDriver)[0].driver_id}"}


async def test_an_erased_driver_begins_anew() -> None:
    async with drive_site() as drive:
        phone = await drive.driver()
        drive.accounts.clear()
        assert 'href="/drive/pay"' in (await phone.get("/drive")).text
        assert "Nothing is kept about this phone" in (await phone.get("/drive/privacy")).text


# -- hostile ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(path for method, path in ROUTES if method == "POST"))
async def test_no_form_from_elsewhere_is_taken(path: str) -> None:
    async with drive_site() as drive:
        phone = await drive.driver()
        before = len(drive.link.commands)
        right = csrf_of((await phone.get("/drive")).text)
        assert (await phone.post(path, data={"csrf": "0" * 40})).status_code == 403
        assert (await phone.post(path, data={"csrf": right}, headers={"origin": "https://evil.example"})).status_code == 403
        assert (await drive.phone().post(path, data={"csrf": right})).status_code == 403
        assert len(drive.link.commands) == before


async def test_mandates_are_few_for_each_phone() -> None:
    async with drive_site() as drive:
        phone = await drive.driver()
        codes = [(await pay(phone)).status_code for _ in range(8)]
        assert codes[-1] == 429
        assert len(drive.of(cmd.RegisterMandate)) <= 6
        answer = await pay(phone)
        assert "Wait " in answer.text
        assert int(answer.headers["retry-after"]) > 0


async def test_behind_a_tunnel_its_header_names_the_phone() -> None:
    async with drive_site(address_header="x-forwarded-for") as drive:
        phone = drive.phone()
        for k in range(25):
            await phone.get("/drive/c/CP-03/1?k=x", headers={"x-forwarded-for": f"10.9.9.{k}, 203.0.113.5"})  # only the last one counts
        stopped = await phone.get("/drive/c/CP-03/1?k=x", headers={"x-forwarded-for": "203.0.113.5"})
        other = await phone.get("/drive/c/CP-03/1?k=x", headers={"x-forwarded-for": "203.0.113.6"})
        assert (stopped.status_code, other.status_code) == (429, 404)


async def test_other_names_and_large_bodies_are_refused() -> None:
    async with drive_site(hosts=("charge.example",)) as drive:
        assert (await drive.phone().get("/drive")).status_code == 400
    async with drive_site() as drive:
        phone = await drive.scanned()
        assert (await phone.post("/drive/pay", content=b"x" * 100_000)).status_code == 413


async def test_headers_that_every_page_has() -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        for path in ("/drive", "/nothing", "/drive/privacy"):
            headers = (await phone.get(path)).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"


async def test_a_depot_that_is_away_is_waited_for() -> None:
    async with drive_site() as drive:
        phone = await drive.driver()
        drive.link.reachable = False
        answer = await phone.get("/drive")
        assert answer.status_code == 503
        assert "A charge that runs goes on" in answer.text
        assert 'http-equiv="refresh"' in answer.text


async def test_the_language_is_chosen_and_stays() -> None:
    async with drive_site() as drive:
        phone = await drive.scanned()
        answer = await phone.get("/drive/language/hi?to=/drive/pay")
        assert answer.headers["location"] == "/drive/pay"
        page = (await phone.get("/drive/pay")).text
        assert '<html lang="hi-IN"' in page
        assert "मोबाइल नंबर" in page
        for target in ("https://evil.example", "//evil.example", "/drive//evil", "/drive\\evil"):
            assert (await phone.get("/drive/language/en", params={"to": target})).headers["location"] == "/drive"
        assert (await phone.get("/drive/language/xx")).status_code == 404


async def test_a_first_visit_is_small() -> None:
    """Step 1 and all that it loads, as it goes over the line (gzip): 60 kB at most."""
    async with drive_site() as drive:
        phone = await drive.scanned(**{"accept-encoding": "gzip"})

        async def size(path: str) -> tuple[int, str]:
            sent = 0
            async with phone.stream("GET", path) as answer:
                async for chunk in answer.aiter_raw():
                    sent += len(chunk)
                head = sum(len(k) + len(v) + 4 for k, v in answer.headers.raw)
            return sent + head, path

        page = (await phone.get("/drive")).text
        linked = re.findall(r'(?:href|src)="(/drive/static/[^"]+)"', page)
        assert len(linked) == 4
        total = sum([(await size(path))[0] for path in ("/drive", *linked)])
    assert total <= 60_000, total
    assert total <= 25_000, total


async def test_every_page_answers_in_both_languages() -> None:
    async with drive_site() as drive:
        phone = await drive.driver(account(running=[running()], bills=[bill()], ended=[]))
        for language in ("en", "hi"):
            await phone.get(f"/drive/language/{language}")
            for path in ("/drive/pay", "/drive/charging", "/drive/sessions", "/drive/sessions/s-1", "/drive/mandate", "/drive/privacy"):
                answer = await phone.get(path)
                assert answer.status_code == 200, path
                assert f'<html lang="{language}-IN"' in answer.text
                assert answer.text.count("<h1") == 1, path
                assert ORIGIN not in answer.text
