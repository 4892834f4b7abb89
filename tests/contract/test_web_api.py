"""/api/v1: what it says about itself is what it does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from fake_bills import fill_bills
from fake_books import fill_books
from fake_depot import FakeLink, sample
from fake_kit import fill_emergency
from fake_limits import fill_limits
from fake_plan import fill_plan
from fake_registry import fill
from fake_stations import fill as fill_stations
from fake_stations import station
from fastapi import FastAPI
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance
from web_harness import FakeClock, Site, form_value, site

import web
from controller.departures_view import DeparturesView
from controller.readmodel import ChargerView, NowView
from controller.stations_view import StationsView
from depot import commands as cmd
from depot.values import ConnectorId, Role
from storage import Store
from web.api import ChargerList, HealthAnswer, LimitList, ProblemDocument
from web.app import create_app
from web.problems import CATALOGUE, Problem
from web.registry_api import VehicleList
from web.roles import ROUTES, SCOPES, Permission
from web.settings import WebSettings
from web.users import Users

pytestmark = pytest.mark.anyio


def machine(depot: Site, *scopes: Permission) -> Any:
    return depot.client(authorization=f"Bearer {depot.users.add_token('scada', scopes or SCOPES)}")


async def test_reading(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = machine(depot, Permission.READ)
        view = msgspec.json.decode((await client.get("/api/v1/now")).content, type=NowView)
        assert view == sample()
        one = await client.get("/api/v1/chargers/CP-03/1")
        assert msgspec.json.decode(one.content, type=ChargerView).tile.connector == "CP-03/1"
        limits = msgspec.json.decode((await client.get("/api/v1/limits")).content, type=LimitList)
        assert [limit.source for limit in limits.limits][:2] == ["scada", "contract"]
        health = msgspec.json.decode((await client.get("/api/v1/health")).content, type=HealthAnswer)
        assert (health.stale, health.health is not None) == (False, True)


async def test_pages_of_chargers_are_whole_and_in_order(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = machine(depot, Permission.READ)
        found: list[str] = []
        cursor = None
        while True:
            query = {"limit": 7} | ({} if cursor is None else {"cursor": cursor})
            page = msgspec.json.decode((await client.get("/api/v1/chargers", params=query)).content, type=ChargerList)
            found += [tile.connector for tile in page.chargers]
            if (cursor := page.next_cursor) is None:
                break
        assert found == sorted(tile.connector for tile in sample().tiles)


async def test_commands_carry_who_and_why_and_the_callers_key(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = machine(depot)
        answer = await client.post("/api/v1/chargers/CP-03/1/stop", json={"reason": "peak"}, headers={"idempotency-key": "peak-0042"})
        assert answer.status_code == 202
        assert answer.json() == {
            "command_id": "peak-0042",
            "status": "accepted",
            "message": "Waits for its minimum.",
            "audit_seq": 51903,
            "answer": None,
        }
        assert depot.link.commands == [
            cmd.StopCharging(command_id="peak-0042", actor="token scada", reason="peak", connector=ConnectorId("CP-03", 1))
        ]
        depot.link.result = cmd.CommandStatus.DONE
        until = (sample().at + timedelta(hours=1)).isoformat()
        assert (await client.put("/api/v1/limits/manual", json={"reason": "r", "value_w": 0, "until": until})).status_code == 200
        assert (await client.delete("/api/v1/limits/manual", params={"reason": "over"})).status_code == 200
        visit = {"reason": "timetable", "vehicle_id": "E-9", "connector": "CP-08/1", "depart_at": until, "energy_wh": 40_000}
        assert (await client.post("/api/v1/visits", json=visit)).status_code == 200
        sent = depot.link.commands[-1]
        assert isinstance(sent, cmd.AnnounceVisit)
        assert (sent.visit.connector, sent.visit.battery_energy_wh) == (ConnectorId("CP-08", 1), 40_000)


async def test_charging_profiles_are_shown_compared_and_set_by_hand(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        fill_stations(depot.link)
        depot.link.result = cmd.CommandStatus.DONE
        client = machine(depot)
        shown = (await client.get("/api/v1/charging-profiles", params={"station_id": "CP-03"})).json()
        assert [(p["purpose"], p["source"], p["confirmed"]) for p in shown["profiles"]] == [("TxProfile", "controller", True)]
        assert shown["connectors"][0]["uncovered"] == ""
        compared = (await client.get("/api/v1/charging-profiles/composite", params={"station_id": "CP-03", "duration_s": 600})).json()
        assert (compared["theirs"], compared["agrees"]) == (None, None)
        profile = {"chargingProfileId": 9}
        body = {"station_id": "CP-03", "connector": 1, "profile": profile, "reason": "test bench"}
        answer = await client.post("/api/v1/charging-profiles", json=body)
        assert answer.json() == {"message_id": "1", "outcome": "result", "payload": {"status": "Accepted"}}
        await client.delete("/api/v1/charging-profiles", params={"station_id": "CP-03", "connector": 1, "stack_level": 2})
        await client.delete("/api/v1/charging-profiles", params={"station_id": "CP-03", "profile_id": 9})
        sent = [(c.action, dict(c.payload), c.reason) for c in depot.link.commands if isinstance(c, cmd.CallStation)]
        assert sent == [
            ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile}, "test bench"),
            ("ClearChargingProfile", {"connectorId": 1, "stackLevel": 2}, "by the API"),
            ("ClearChargingProfile", {"id": 9}, "by the API"),
        ]
        depot.link.shown[StationsView] = msgspec.structs.replace(
            depot.link.shown[StationsView], stations=[msgspec.structs.replace(station(), version="2.0.1")]
        )
        await client.post("/api/v1/charging-profiles", json=body)
        await client.delete("/api/v1/charging-profiles", params={"station_id": "CP-03", "profile_id": 9})
        await client.delete("/api/v1/charging-profiles", params={"station_id": "CP-03"})
        sent = [(c.action, dict(c.payload), "") for c in depot.link.commands[-3:] if isinstance(c, cmd.CallStation)]
        assert sent == [
            ("SetChargingProfile", {"evseId": 1, "chargingProfile": profile}, ""),
            ("ClearChargingProfile", {"chargingProfileId": 9}, ""),
            ("ClearChargingProfile", {"chargingProfileCriteria": {}}, ""),
        ]
        reader = depot.client(authorization=f"Bearer {depot.users.add_token('reader', [Permission.READ])}")
        assert (await reader.get("/api/v1/charging-profiles")).status_code == 200
        assert (await reader.get("/api/v1/charging-profiles/composite", params={"station_id": "CP-03"})).status_code == 403
        assert (await reader.post("/api/v1/charging-profiles", json=body)).status_code == 403


async def test_departures_and_vehicles(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.DONE
        client = machine(depot)
        view = msgspec.json.decode((await client.get("/api/v1/departures")).content, type=DeparturesView)
        assert (view.rows[0].stay.vehicle_id, view.rows[0].standing) == ("E-103", "late")
        body = {"reason": "tour", "vehicle_id": "E-104", "depart_at": "2026-11-22T00:00:00Z", "energy_wh": 90_001, "soc_arrival": 0.5}
        assert (await client.put("/api/v1/departures", json=body, headers={"idempotency-key": "tour-0001"})).status_code == 200
        stated = depot.link.commands[-1]
        assert isinstance(stated, cmd.AnnounceVisit)
        assert (stated.command_id, stated.visit.battery_energy_wh, stated.visit.soc_arrival) == ("tour-0001", 90_001, 0.5)
        assert stated.visit.battery_wh == 250_000  # from the registry
        assert (await client.delete("/api/v1/departures", params={"visit_id": "visit E-103", "reason": "r"})).status_code == 200
        page = msgspec.json.decode((await client.get("/api/v1/vehicles", params={"limit": 20})).content, type=VehicleList)
        assert (len(page.vehicles), page.next_cursor) == (20, "E-120")
        put = {"reason": "new bus", "battery_wh": 300_000, "dc_max_w": 150_000, "id_tags": ["T1"], "connector": "CP-08/1"}
        assert (await client.put("/api/v1/vehicles/E-200", json=put)).status_code == 200
        new = depot.link.commands[-1]
        assert isinstance(new, cmd.ChangeRegistry)
        assert (new.vehicles[0].battery_wh, new.vehicles[0].connector, new.reason) == (300_000, ConnectorId("CP-08", 1), "new bus")
        assert (await client.delete("/api/v1/vehicles/E-200", params={"reason": "sold"})).status_code == 200
        person = await depot.signed_in(Role.OPERATOR)
        assert (await person.put("/api/v1/vehicles/E-9", json=put, headers={"x-csrf-token": "any"})).json()["code"] == "forbidden"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/chargers/CP-99/1/stop", {"reason": "r"}, 404, "unknown_charger"),
        ("POST", "/chargers/CP-03/1/stop", {}, 422, "invalid_request"),
        ("POST", "/chargers/CP-03/1/stop", {"reason": " "}, 422, "invalid_request"),
        ("POST", "/chargers/CP-03/1/stop", {"reason": "r", "force": True}, 422, "invalid_request"),
        ("POST", "/chargers/CP-03/0/stop", {"reason": "r"}, 422, "invalid_request"),
        ("PUT", "/limits/manual", {"reason": "r", "value_w": -1}, 422, "invalid_request"),
        ("PUT", "/limits/manual", {"reason": "r", "value_w": 500_001}, 422, "invalid_request"),
        ("PUT", "/limits/manual", {"reason": "r", "value_w": 1, "until": "2020-01-01T00:00:00Z"}, 422, "invalid_request"),
        ("PUT", "/limits/manual", {"reason": "r", "value_w": 1, "until": "2030-01-01T00:00:00"}, 422, "invalid_request"),
        (
            "POST",
            "/visits",
            {"reason": "r", "vehicle_id": "E", "depart_at": "2020-01-01T00:00:00Z", "energy_wh": 1},
            422,
            "invalid_request",
        ),
        (
            "PUT",
            "/departures",
            {"reason": "r", "vehicle_id": "E-1", "depart_at": "2026-11-22T00:00:00Z", "energy_wh": 1},
            422,
            "invalid_request",
        ),
        ("PUT", "/departures", {"reason": "r", "vehicle_id": "E-104", "depart_at": "2026-11-22T00:00:00Z"}, 422, "invalid_request"),
        ("DELETE", "/departures?visit_id=v", None, 422, "invalid_request"),
        ("PUT", "/vehicles/E-1", {"reason": "r", "connector": "CP"}, 422, "invalid_request"),
        ("PUT", "/vehicles/E-1", {"reason": "r", "ac_max_w": 0, "dc_max_w": 0}, 422, "invalid_request"),
        ("GET", "/chargers?limit=0", None, 422, "invalid_request"),
        ("GET", "/nothing", None, 404, "not_found"),
        ("POST", "/now", None, 405, "method_not_allowed"),
    ],
)
async def test_refusals_are_problems_of_the_catalogue(tmp_path: Path, method: str, path: str, body: Any, status: int, code: str) -> None:
    async with site(tmp_path) as depot:
        answer = await machine(depot).request(method, f"/api/v1{path}", json=body)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = msgspec.json.decode(answer.content, type=ProblemDocument)
        assert (answer.status_code, problem.status, problem.code) == (status, status, code)
        assert problem.title == CATALOGUE[code][1]
        assert depot.link.commands == []


async def test_a_refused_command_is_a_conflict_with_the_cores_words(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.result = cmd.CommandStatus.REFUSED
        answer = await machine(depot).post("/api/v1/chargers/CP-03/1/start", json={"reason": "r"})
        assert (answer.status_code, answer.json()["detail"]) == (409, "Feeder B is full.")


async def test_old_data_and_a_silent_core_take_no_command(tmp_path: Path) -> None:
    async with site(tmp_path, stale_s=-1.0) as depot:
        answer = await machine(depot).post("/api/v1/chargers/CP-03/1/stop", json={"reason": "r"})
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "stale", "3")
        assert (await depot.client(authorization="Bearer nonsense").get("/api/v1/now")).json()["code"] == "bad_token"
    (tmp_path / "two").mkdir()
    async with site(tmp_path / "two", blank=True) as depot:
        client = machine(depot)
        assert (await client.get("/api/v1/now")).json()["code"] == "core_unreachable"
        assert (await client.get("/api/v1/health")).json() == {"stale": True, "age_s": None, "health": None}


async def test_people_use_the_api_with_their_session_and_the_form_value(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.MANAGER)
        assert (await client.get("/api/v1/now")).status_code == 200
        path = "/api/v1/chargers/CP-03/1/availability"
        body = {"reason": "r", "operative": True}
        assert (await client.post(path, json=body)).json()["code"] == "csrf_failed"
        assert (await client.post(path, json=body, headers={"x-csrf-token": await form_value(client)})).status_code == 202


async def test_back_in_service_needs_more_than_out(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = machine(depot, Permission.OPERATE)
        path = "/api/v1/chargers/CP-03/1/availability"
        assert (await client.post(path, json={"reason": "r", "operative": False})).status_code == 202
        assert (await client.post(path, json={"reason": "r", "operative": True})).json()["code"] == "forbidden"
        assert len(depot.link.commands) == 1


def test_the_catalogue_and_its_answers_agree() -> None:
    for code, (status, title) in CATALOGUE.items():
        body = Problem(code, "what to do").body()
        assert body == {"type": f"urn:chargeyard:problem:{code}", "title": title, "status": status, "code": code, "detail": "what to do"}


API = {(method, path) for method, path in ROUTES if path.startswith("/api/v1/") and path != "/api/v1/openapi.json"}
NOT_OURS = [ignored_auth, negative_data_rejection, positive_data_acceptance]
"""Checks that do not fit: our headers replace the generated ones; a repeated query value counts as a list; what a
schema allows may still be refused for the depot's sake (a limit above the contract)."""


class SteadyLink(FakeLink):
    """Always fresh, whichever loop asks: schemathesis makes one for each call."""

    @property
    def age_s(self) -> float | None:
        return 0.4


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, str]]:
    """The application as schemathesis calls it, and a token that may do everything."""
    clock = FakeClock()
    with Store.open(tmp_path_factory.mktemp("api") / "people.db") as store:
        store.migrate([web])
        link = SteadyLink()
        link.view = sample()
        fill(link)
        fill_limits(link)
        fill_plan(link)
        fill_bills(link)
        fill_books(link)
        fill_stations(link)
        fill_emergency(link)
        yield (
            create_app(WebSettings(depot_id="kothrud", hosts=("testserver",)), link, store, clock=clock),
            Users(store, clock, "kothrud").add_token("all", SCOPES),
        )


def test_the_document_names_every_route_and_every_reference_exists(steady: tuple[FastAPI, str]) -> None:
    document = steady[0].openapi()
    text = msgspec.json.encode(document).decode()
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"], name
    assert set(document["paths"]) == {path for _, path in API}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert {"401", "403", "503"} <= set(operation["responses"]), (method, path)


def test_generated_calls_get_documented_answers_and_never_an_error_of_ours(steady: tuple[FastAPI, str]) -> None:
    app, token = steady
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    seen: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode, examples in ((GenerationMode.POSITIVE, 6), (GenerationMode.NEGATIVE, 5)):

            @seed(20261121)
            @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(generation_mode=mode))
            def calls(case: schemathesis.Case) -> None:
                answer = case.call(headers={"authorization": f"Bearer {token}"})
                seen.setdefault(case.operation.label, set()).add(answer.status_code)
                case.validate_response(answer, excluded_checks=NOT_OURS)

            calls()
    assert len(seen) == len(API)
    assert all(status < 500 for statuses in seen.values() for status in statuses), seen
    never = {label for label, statuses in seen.items() if not {200, 201, 202, 404} & statuses}
    # nobody guesses the name of a registered vehicle, of a feeder, or a passport; what a person alone may do is not for a token
    persons = {"POST /api/v1/outputs/reset", "POST /api/v1/outputs/{output}/test"}
    persons |= {f"POST /api/v1/{path}" for path in ("evacuation/end", "incidents/{incident}/close", "drills", "drills/stop")}
    persons |= {f"{method} {path}" for (method, path), needed in ROUTES.items() if needed is Permission.MONEY}
    guesses = {"PUT /api/v1/departures", "POST /api/v1/stations", "PUT /api/v1/stations/{station_id}"}
    guesses |= {"POST /api/v1/packs/{vehicle}/{pack}/passports"}
    assert never <= guesses | persons, seen
