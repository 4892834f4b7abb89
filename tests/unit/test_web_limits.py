"""The page *Limits*, its forms, and the API of arranged limits."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fake_limits import AT, fill_limits
from web_harness import form_value, site

from controller.limit_book_view import LimitBookView
from depot import commands as cmd
from depot.limit_book import EventChannel, Period, Weekly
from depot.values import LimitSource, Role
from web.limits_page import days_of

pytestmark = pytest.mark.anyio


async def test_the_page_shows_what_is_arranged_who_binds_and_who_bound(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.VIEWER)
        page = (await client.get("/grid/limits")).text
    for words in (
        "fan repair",
        "cable",
        "letter no. 7",
        "Mon, Tue, Wed, Thu, Fri 18:00 to 22:00",
        "works on the cable",
        "DR-1",
        "complied; peak",
    ):
        assert words in page, words
    assert "Limits are overridden" not in page
    assert 'data-open="lift1"' not in page  # a viewer may not


async def test_an_override_is_loud_on_both_pages(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        fill_limits(depot.link, override=True)
        client = await depot.signed_in(Role.MANAGER)
        for path in ("/grid", "/grid/limits"):
            page = (await client.get(path)).text
            assert "Limits are overridden until" in page
            assert "six buses would miss their pull-out" in page


async def test_without_anything_the_page_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        full = depot.link.shown[LimitBookView]
        empty = {name: [] for name in ("manual", "schedules", "events", "overrides", "ahead", "connectors")}
        depot.link.shown[LimitBookView] = LimitBookView(at=AT, override=None, rules=full.rules, **empty)  # type: ignore[attr-defined]
        client = await depot.signed_in(Role.MANAGER)
        page = (await client.get("/grid/limits")).text
    for words in ("No limit by hand", "No schedule", "No event", "Nobody limits a single connector"):
        assert words in page, words


FORMS = [
    ("manual", {"scope_id": "CP-03/1", "value_kw": "11", "name": "cable", "until": ""}),
    ("weekly", {"id": "evening", "scope_id": "", "value_kw": "180", "days": "Mon-Fri, Sun", "starts": "18:00", "ends": "06:00",
                "first_day": "2026-04-01", "last_day": ""}),
    ("once", {"id": "works", "scope_id": "A", "value_kw": "40", "starts_at": "2031-03-29T18:00", "ends_at": "2031-03-29T22:00"}),
    ("event", {"id": "DR-2", "programme": "Evening", "channel": "portal", "starts_at": "2031-03-29T18:00", "ends_at": "2031-03-29T22:00",
               "limit_kw": "", "reduction_kw": "50", "baseline_kw": ""}),
    ("override", {"value_kw": "240", "until": "2031-03-29T18:00", "source": "all"}),
]  # fmt: skip


async def test_every_form_becomes_its_command(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        value = await form_value(client)
        for kind, fields in FORMS:
            assert (await client.get(f"/grid/limits/new/{kind}")).status_code == 200
            answer = await client.post(f"/grid/limits/new/{kind}", data={**fields, "reason": "letter 7", "csrf": value})
            assert (answer.status_code, answer.headers.get("location")) == (303, "/grid/limits"), (kind, answer.text[:300])
        manual, weekly, once, event, override = depot.link.commands
    at = (datetime(2031, 3, 29, 12, 30, tzinfo=UTC), datetime(2031, 3, 29, 16, 30, tzinfo=UTC))  # Pune's 18:00 and 22:00
    assert isinstance(manual, cmd.SetManualLimit)
    assert (manual.scope_id, manual.value_w, manual.name, manual.until, manual.reason) == ("CP-03/1", 11_000, "cable", None, "letter 7")
    assert isinstance(weekly, cmd.SetLimitSchedule)
    assert weekly.weekly == Weekly((0, 1, 2, 3, 4, 6), 18 * 60, 6 * 60, date(2026, 4, 1))
    assert isinstance(once, cmd.SetLimitSchedule)
    assert (once.scope_id, once.once) == ("A", Period(*at))
    assert isinstance(event, cmd.AnnounceDemandEvent)
    assert (event.channel, event.reduction_w, event.limit_w, event.baseline_w, event.ends_at) == (
        EventChannel.PORTAL,
        50_000,
        None,
        None,
        at[1],
    )
    assert isinstance(override, cmd.OverrideLimits)
    assert override.sources == (LimitSource.MANUAL, LimitSource.SCHEDULE)


async def test_a_form_comes_back_with_everything_that_is_wrong_in_it(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        value = await form_value(client)
        wrong = {"id": "x", "value_kw": "-1", "days": "Fry", "starts": "25:00", "ends": "6", "first_day": "soon", "csrf": value}
        answer = await client.post("/grid/limits/new/weekly", data=wrong)
        assert answer.status_code == 422
        for words in ("A number of kW", "Days such as", "A time such as", "A date such as", "Say why"):
            assert words in answer.text, words
        for kind in ("manual", "once", "event", "override"):
            assert (await client.post(f"/grid/limits/new/{kind}", data={"csrf": value})).status_code == 422
        both = dict(FORMS[3][1]) | {"limit_kw": "80", "reason": "r", "csrf": value}
        assert "one of the two" in (await client.post("/grid/limits/new/event", data=both)).text
        assert (
            await client.post("/grid/limits/new/override", data=dict(FORMS[4][1]) | {"source": "contract", "reason": "r", "csrf": value})
        ).status_code == 422
        assert depot.link.commands == []


async def test_what_is_arranged_is_ended_from_the_page(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        value = await form_value(client)
        for what, name in (("manual", "cable"), ("schedule", "evening"), ("cancel", "DR-1"), ("opt-out", "DR-1"), ("override", "")):
            form = {"what": what, "id": name, "scope_id": "CP-03/1", "reason": "over", "csrf": value}
            assert (await client.post("/grid/limits/end", data=form)).status_code == 303
        assert [type(c).__name__ for c in depot.link.commands] == [
            "ClearManualLimit", "RemoveLimitSchedule", "CancelDemandEvent", "OptOutOfDemandEvent", "EndOverride",
        ]  # fmt: skip
        lifted = depot.link.commands[0]
        assert isinstance(lifted, cmd.ClearManualLimit)
        assert lifted.limit_id == "manual:CP-03/1#cable"
        answer = await client.post("/grid/limits/end", data={"what": "contract", "reason": "r", "csrf": value})
        assert answer.status_code == 422


async def test_machines_arrange_limits_with_the_scope_limit(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = depot.client(authorization=f"Bearer {depot.users.add_token('scada', ['limit', 'read'])}")  # type: ignore[list-item]
        week = {"days": [0, 1], "starts": "18:00", "ends": "24:00"}
        asked = [
            ("PUT", "/limits/manual", {"value_w": 5_000, "scope_id": "B", "name": "n", "reason": "r"}),
            ("PUT", "/limits/schedules/evening", {"value_w": 5_000, "weekly": week, "reason": "r"}),
            ("PUT", "/demand-response/events/DR-7", {
                "programme": "p", "starts_at": "2031-01-01T10:00:00Z", "ends_at": "2031-01-01T12:00:00+01:00", "channel": "openadr",
                "limit_w": 0, "reason": "r",
            }),
            ("POST", "/demand-response/events/DR-7/opt-out", {"reason": "r"}),
            ("PUT", "/limits/override", {"value_w": 9, "until": "2031-01-01T10:00:00Z", "sources": ["scada", "scada"], "reason": "r"}),
        ]  # fmt: skip
        for method, path, body in asked:
            answer = await client.request(method, f"/api/v1{path}", json=body)
            assert answer.status_code == 202, (path, answer.text)
        manual, weekly, event, out, override = depot.link.commands
        assert isinstance(manual, cmd.SetManualLimit)
        assert manual.limit_id == "manual:B#n"
        assert isinstance(weekly, cmd.SetLimitSchedule)
        assert weekly.weekly == Weekly((0, 1), 18 * 60, 24 * 60)
        assert isinstance(event, cmd.AnnounceDemandEvent)
        assert (event.limit_w, event.ends_at) == (0, datetime(2031, 1, 1, 11, tzinfo=UTC))
        assert isinstance(out, cmd.OptOutOfDemandEvent)
        assert isinstance(override, cmd.OverrideLimits)
        assert override.sources == (LimitSource.SCADA,)
        history = (await client.get("/api/v1/limits/history", params={"at": "2026-11-20T22:40:00+05:30"})).json()
        assert history["entries"][0]["id"] == "manual:"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("schedules/x", {"value_w": 1, "weekly": {"days": [], "starts": "18:00", "ends": "19:00"}}),
        ("schedules/x", {"value_w": 1, "weekly": {"days": [1, 1], "starts": "18:00", "ends": "19:00"}}),
        ("schedules/x", {"value_w": 1, "weekly": {"days": [1], "starts": "24:01", "ends": "19:00"}}),
        ("schedules/x", {"value_w": 1, "once": {"starts_at": "2031-01-01T10:00:00Z", "ends_at": "2031-01-01T10:00:00Z"}}),
        ("schedules/x", {"value_w": -1}),
        ("override", {"value_w": 1, "until": "2031-01-01T10:00:00Z", "sources": ["contract"]}),
        ("override", {"value_w": 1, "until": "2031-01-01T10:00:00", "sources": ["manual"]}),
        ("manual", {"value_w": 1, "name": "x" * 41}),
    ],
)
async def test_what_cannot_be_is_refused_before_it_reaches_the_core(tmp_path: Path, path: str, body: dict[str, object]) -> None:
    async with site(tmp_path) as depot:
        client = depot.client(authorization=f"Bearer {depot.users.add_token('scada', ['limit'])}")  # type: ignore[list-item]
        answer = await client.put(f"/api/v1/limits/{path}", json={**body, "reason": "r"})
        assert answer.status_code == 422, answer.text
        assert depot.link.commands == []


def test_days_are_read_as_people_write_them() -> None:
    assert days_of("Mon-Fri, Sun") == (0, 1, 2, 3, 4, 6)
    assert days_of("sat - mon") == (0, 5, 6)
    assert days_of("daily") == tuple(range(7))
    assert days_of("Wednesday") == (2,)
    with pytest.raises(ValueError, match="not in list"):
        days_of("Fry")
