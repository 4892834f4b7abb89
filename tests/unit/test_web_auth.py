"""Sign-in: brute force, session fixation, CSRF, expiry, shutting people out (reference faults no. 19)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text as sql
from web_harness import NAMES, ORIGIN, PASSWORD, FakeClock, csrf_of, form_value, sign_in, site

import web
from depot.values import Role
from storage import Store
from web.roles import Permission
from web.users import UserError, Users

pytestmark = pytest.mark.anyio


async def test_right_password_opens_and_sign_out_closes(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        assert (await client.get("/")).status_code == 200
        token = client.cookies["chargeyard"]
        answer = await client.post("/sign-out", data={"csrf": await form_value(client)})
        assert answer.headers["location"] == "/sign-in"
        assert depot.app.state.web.auth.person(token) is None


async def test_the_cookie_is_out_of_reach(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.users.add("mani", Role.MANAGER, PASSWORD)
        header = (await sign_in(depot.client(), "mani")).headers["set-cookie"]
        assert re.search(r"^chargeyard=[\w-]{43}; HttpOnly; Max-Age=43200; Path=/; SameSite=strict", header)
    async with site(tmp_path, tls=True) as depot:
        page = await depot.client().get("/sign-in")
        assert page.headers["set-cookie"].startswith("__Host-chargeyard-gate=")
        assert "Secure" in page.headers["set-cookie"]


async def test_the_database_knows_no_secret(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        machine = depot.users.add_token("scada", [Permission.READ])
        with depot.store.reading() as connection:
            tables = connection.execute(sql("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
            everything = str([connection.execute(sql(f'SELECT * FROM "{table}"')).all() for table in tables])
        assert client.cookies["chargeyard"] not in everything
        assert machine not in everything
        assert PASSWORD not in everything
        assert "$argon2id$" in everything


async def test_sign_in_gives_a_new_session_whatever_the_browser_brought(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        first = client.cookies["chargeyard"]
        planted = depot.client()
        planted.cookies.set("chargeyard", first + "x", domain="127.0.0.1", path="/")
        await sign_in(planted, NAMES[Role.MANAGER])
        assert [c.value for c in planted.cookies.jar if c.name == "chargeyard" and c.value in (first, first + "x")] == []
        again = await client.get("/sign-in?next=/chargers")
        assert (again.status_code, again.headers["location"]) == (303, "/chargers")


async def test_ten_tries_then_wait_even_with_the_right_password(tmp_path: Path) -> None:
    async with site(tmp_path, tries_most=3) as depot:
        depot.users.add("mani", Role.MANAGER, PASSWORD)
        client = depot.client()
        for _ in range(3):
            answer = await sign_in(client, "mani", "wrong wrong wrong")
            assert answer.status_code == 403
        answer = await sign_in(client, "Mani ")
        assert answer.status_code == 429
        assert "Wait 15 min" in answer.text
        assert int(answer.headers["retry-after"]) > 800
        depot.clock.forward(minutes=16)
        assert (await sign_in(client, "mani")).status_code == 303


async def test_tries_count_per_account_and_success_forgets_them(tmp_path: Path) -> None:
    async with site(tmp_path, tries_most=2) as depot:
        for name in ("mani", "omar"):
            depot.users.add(name, Role.VIEWER, PASSWORD)
        client = depot.client()
        assert (await sign_in(client, "mani", "wrong wrong wrong")).status_code == 403
        assert (await sign_in(client, "omar")).status_code == 303
        assert (await sign_in(depot.client(), "mani")).status_code == 303
        assert (await sign_in(depot.client(), "mani", "wrong wrong wrong")).status_code == 403
        assert (await sign_in(depot.client(), "mani")).status_code == 303


async def test_unknown_shut_and_wrong_look_the_same(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.users.add("gone", Role.VIEWER, PASSWORD)
        depot.users.disable("gone")
        depot.users.add("mani", Role.VIEWER, PASSWORD)
        pages = [await sign_in(depot.client(), name, word) for name, word in (("gone", PASSWORD), ("mani", "x" * 20), ("nobody", PASSWORD))]
        bodies = {re.sub(r'value="[^"]*"', "", page.text) for page in pages}
        assert {page.status_code for page in pages} == {403}
        assert len(bodies) == 1


@pytest.mark.parametrize(("hours", "minutes", "alive"), [(0, 29, True), (0, 31, False)])
async def test_an_idle_session_ends(tmp_path: Path, hours: int, minutes: int, alive: bool) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        depot.clock.forward(hours=hours, minutes=minutes)
        assert ((await client.get("/")).status_code == 200) is alive


async def test_a_used_session_ends_after_twelve_hours_and_live_pages_do_not_use_it(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        for _ in range(35):
            depot.clock.forward(minutes=20)
            assert (await client.get("/session")).status_code == 204
        depot.clock.forward(minutes=20)
        assert (await client.get("/session")).status_code == 401
        watcher = await depot.signed_in()
        for _ in range(2):
            depot.clock.forward(minutes=14)
            assert (await watcher.get("/chargers/CP-03/1", headers={"x-live": "1"})).status_code == 200
        depot.clock.forward(minutes=3)
        assert (await watcher.get("/chargers/CP-03/1", headers={"x-live": "1"})).status_code == 303


async def test_shutting_an_account_and_changing_a_role_count_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        depot.users.set_role("mani", Role.VIEWER)
        assert "Set limit" not in (await client.get("/")).text
        depot.users.disable("mani")
        assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"origin": "http://evil.example"}, "right"),
        ({"origin": "null"}, "right"),
        ({"origin": ""}, "right"),
        ({"origin": ORIGIN}, "wrong"),
        ({"origin": ORIGIN}, None),
    ],
)
async def test_csrf_a_foreign_form_does_nothing(tmp_path: Path, headers: dict[str, str], field: str | None) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in()
        value = await form_value(client)
        data = {"reason": "because"} | ({} if field is None else {"csrf": value if field == "right" else "0" * 64})
        answer = await client.post("/chargers/CP-03/1/stop", data=data, headers=headers)
        assert answer.status_code == 403
        assert depot.link.commands == []


async def test_csrf_sign_in_needs_the_browsers_own_form(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.users.add("mani", Role.MANAGER, PASSWORD)
        stolen = csrf_of((await depot.client().get("/sign-in")).text)
        answer = await depot.client().post("/sign-in", data={"csrf": stolen, "name": "mani", "password": PASSWORD})
        assert answer.status_code == 403
        assert "chargeyard=" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/sign-out"])
async def test_sign_in_leads_nowhere_else(tmp_path: Path, target: str) -> None:
    async with site(tmp_path) as depot:
        depot.users.add("mani", Role.MANAGER, PASSWORD)
        client = depot.client()
        form = await client.get("/sign-in", params={"next": target})
        assert 'name="next" value="/"' in form.text
        data = {"csrf": csrf_of(form.text), "name": "mani", "password": PASSWORD, "next": target}
        assert (await client.post("/sign-in", data=data)).headers["location"] == "/"


async def test_a_given_password_opens_only_its_own_change(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        given = depot.users.add("newt", Role.OPERATOR)
        client = depot.client()
        await sign_in(client, "newt", given)
        assert (await client.get("/")).headers["location"] == "/account"
        assert (await client.get("/api/v1/now")).json()["code"] == "password_change_needed"
        value = await form_value(client)
        other = depot.client()
        await sign_in(other, "newt", given)
        wrong = {"csrf": value, "old": "nonsense", "new": PASSWORD, "again": PASSWORD}
        assert "not your present password" in (await client.post("/account/password", data=wrong)).text
        short = {"csrf": value, "old": given, "new": "short", "again": "short"}
        assert "at least 12" in (await client.post("/account/password", data=short)).text
        twice = {"csrf": value, "old": given, "new": PASSWORD, "again": PASSWORD + "!"}
        assert "do not agree" in (await client.post("/account/password", data=twice)).text
        answer = await client.post("/account/password", data={"csrf": value, "old": given, "new": PASSWORD, "again": PASSWORD})
        assert answer.headers["location"] == "/account?done=password"
        assert (await client.get("/")).status_code == 200
        assert (await other.get("/")).headers["location"] == "/sign-in"


def test_accounts_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    with Store.open(tmp_path / "people.db") as store:
        store.migrate([web])
        people = Users(store, FakeClock(), "kothrud")
        password = people.add(" Asha ", Role.MANAGER)
        assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", password)
        with pytest.raises(UserError, match="already"):
            people.add("Asha", Role.VIEWER)
        with pytest.raises(UserError, match="at least 12"):
            people.add("Bela", Role.VIEWER, "short")
        with pytest.raises(UserError, match="little more than the name"):
            people.reset("Asha", "asha12345678")
        with pytest.raises(UserError, match="no account"):
            people.disable("Nobody")
        with pytest.raises(UserError, match="scopes are"):
            people.add_token("x", [Permission.PUBLIC])
        people.reset("Asha", PASSWORD)
        assert people.verify("Asha", PASSWORD) is not None
        assert people.verify("Asha", password) is None
        assert [(p.name, p.role, p.must_change) for p in people.list()] == [("Asha", Role.MANAGER, False)]
