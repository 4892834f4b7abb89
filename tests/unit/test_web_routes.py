"""Who may call what: every route is in the table, and each role gets what the table says (reference faults no. 19)."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter
from web_harness import PASSWORD, form_value, sign_in, site

from depot.values import Role
from web.problems import CATALOGUE
from web.roles import GRANTS, ROUTES, SCOPES, Permission, for_machines, least_roles, needed
from web.shell import HEADERS

pytestmark = pytest.mark.anyio
PATH = {
    "sha256": "ab" * 32,
    "fingerprint": "ab" * 32,
    "image_id": "ab" * 8,
    "number": "4",
    "station": "CP-03",
    "connector": "1",
    "version": "x",
    "name": "base.css",
    "vehicle": "E-103",
    "chemistry": "LFP",
    "vehicle_id": "E-103",
    "pack": "P1",
    "mandate": "m1",
    "session": "s1",
    "driver": "D-101",
    "day": "2026-11-21",
    "refund_key": "cy-refund",
    "difference": "cy-short",
    "approval": "gone",
    "pack_id": "P1",
    "driver_id": "D-101",
    "station_id": "CP-03",
    "feeder_id": "B",
    "action": "Reset",
    "token": "CARD-1",
    "reservation_id": "7",
    "slot": "1",
    "message_id": "3",
    "request_id": "5",
    "serial": "1a2b3c",
    "report_id": "4",
    "stream_id": "3",
    "month": "2026-10",
    "output": "siren",
    "schedule_id": "evening",
    "event_id": "DR-1",
    "kind": "weekly",
    "asset": "b1",
    "incident": "2026-11-20-1",
    "question_id": "q-1",
    "tariff_id": "evening",
    "tariff": "evening",
}


def concrete(path: str) -> str:
    return path.format(**PATH)


def routes_of(router: object) -> set[tuple[str, str]]:
    """All (method, path) below a router, however deep it is included."""
    found: set[tuple[str, str]] = set()
    for route in getattr(router, "routes", []):
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None:
            found |= routes_of(inner)
        elif getattr(route, "methods", None):
            found |= {(method, route.path) for method in route.methods if method != "HEAD"}
    return found


async def test_every_route_stands_in_the_role_table_and_the_table_has_no_other(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        found = routes_of(depot.app)
        assert len(found) > 20, found
        assert found == set(ROUTES)


async def test_a_route_that_the_table_does_not_name_is_refused_to_everybody(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        extra = APIRouter()
        extra.add_api_route("/forgotten", lambda: "secret", methods=["GET"])
        depot.app.include_router(extra)
        client = await depot.signed_in(Role.ADMIN)
        answer = await client.get("/forgotten")
        assert answer.status_code == 403
        assert "secret" not in answer.text


@pytest.mark.parametrize("role", list(Role))
async def test_role_matrix(tmp_path: Path, role: Role) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(role)
        value = await form_value(client)
        for (method, path), permission in ROUTES.items():
            if path in ("/live", "/sign-out", "/sign-in", "/account/password"):
                continue
            data = {"csrf": value} if method == "POST" and not path.startswith("/api/") else None
            answer = await client.request(method, concrete(path), data=data, headers={"x-csrf-token": value})
            allowed = permission in GRANTS[role]
            assert (answer.status_code != 403) == allowed, (method, path, answer.status_code, answer.text[:200])
        if Permission.OPERATE not in GRANTS[role]:
            assert depot.link.commands == []


async def test_nobody_gets_further_than_the_gate(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = depot.client()
        for (method, path), permission in ROUTES.items():
            if permission is Permission.PUBLIC:
                continue
            answer = await client.request(method, concrete(path))
            machine = for_machines(path) or path in ("/live", "/session")
            assert answer.status_code == (401 if machine else 303), (method, path)
            assert machine or answer.headers["location"].startswith("/sign-in"), (method, path)
            assert "E-103" not in answer.text
        assert depot.link.commands == []


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_token_does_what_its_scope_says(tmp_path: Path, scope: Permission) -> None:
    async with site(tmp_path) as depot:
        secret = depot.users.add_token("scada", [scope])
        client = depot.client(authorization=f"Bearer {secret}")
        for (method, path), permission in ROUTES.items():
            if not for_machines(path) or permission is Permission.PUBLIC:
                continue
            answer = await client.request(method, concrete(path))
            assert (answer.status_code != 403) == (permission is scope), (method, path, answer.text)


async def test_a_token_opens_no_page_and_a_revoked_one_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        secret = depot.users.add_token("scada", [Permission.READ])
        client = depot.client(authorization=f"Bearer {secret}")
        assert (await client.get("/")).status_code == 303
        assert (await client.get("/api/v1/now")).status_code == 200
        depot.users.revoke_token("scada")
        answer = await client.get("/api/v1/now")
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_token")


async def test_people_of_another_depot_are_strangers_here(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        from web.users import Users

        Users(depot.store, depot.clock, "elsewhere").add("eve", Role.ADMIN, PASSWORD)
        assert (await sign_in(depot.client(), "eve")).status_code == 403


async def test_security_headers_on_every_answer(tmp_path: Path) -> None:
    async with site(tmp_path, tls=True) as depot:
        client = depot.client()
        for path in ("/sign-in", "/", "/static/x/base.css", "/nothing/here", "/api/v1/now", "/session"):
            answer = await client.get(path)
            for name, value in HEADERS:
                assert answer.headers[name] == value, (path, name)
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert "server" not in answer.headers
        assert (await client.get("/sign-in")).headers["cache-control"] == "no-store"


async def test_a_foreign_host_name_is_not_served_on_loopback(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        answer = await depot.client(host="evil.example:8080").get("/sign-in")
        assert answer.status_code == 400
        assert (await depot.client(host="localhost:9999").get("/sign-in")).status_code == 200


async def test_a_huge_body_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        answer = await depot.client().post("/sign-in", content=b"x" * 70_000)
        assert answer.status_code == 413


def test_the_table_answers_for_unknown_routes() -> None:
    assert needed("GET", "/nothing") is None
    assert least_roles(Permission.LIMIT) == "a manager"
    assert least_roles(Permission.OPERATE) == "an operator"


def test_the_api_page_names_every_route_and_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for method, path in ROUTES:
        if path.startswith("/api/v1/"):
            assert f"`{method} {path.removeprefix('/api/v1')}" in page or path.endswith("openapi.json"), (method, path)
    for code in CATALOGUE:
        assert f"`{code}`" in page, code
