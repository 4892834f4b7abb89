"""Telemetry over HTTP at the web's side: batches, gzip, keys, pace, tokens that are bound to vehicles."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from web_harness import Site, form_value, site

from controller.rejections.views import RejectionsView, RejectionView, TelemetryIssuesView
from depot.values import Role
from web.problems import Problem
from web.roles import Permission
from web.telemetry_api import BURST, MOST_BYTES, MOST_ITEMS, split, unpacked
from web.users import UserError

pytestmark = pytest.mark.anyio

PATH = "/api/v1/telemetry"
NOW = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)


def item(vehicle: str = "E-101", **message: Any) -> dict[str, Any]:
    return {"vehicle_id": vehicle, "pack_id": "P1", "message": {"schema": "pack_telemetry/1", **message}}


def gateway(depot: Site, *vehicles: str, name: str = "gateway") -> httpx.AsyncClient:
    return depot.client(authorization=f"Bearer {depot.users.add_token(name, [Permission.TELEMETRY], vehicles=vehicles)}")


async def test_an_array_and_lines_are_taken_and_answered_item_by_item(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = gateway(depot)
        answer = await client.post(PATH, json=[item(soc=0.5), item("E-102")])
        assert answer.status_code == 200
        counts = {"accepted": 2, "late": 0, "repeated": 0, "refused": 0}
        assert answer.json() == counts | {"items": [{"status": "accepted"}, {"status": "accepted"}]}
        by, told = depot.link.told[0]
        assert by == "token gateway"
        assert [(one.vehicle_id, one.pack_id) for one in told] == [("E-101", "P1"), ("E-102", "P1")]
        assert json.loads(bytes(told[0].payload)) == {"schema": "pack_telemetry/1", "soc": 0.5}
        lines = b"\n".join(json.dumps(one, indent=None).encode() for one in (item(), item())) + b"\r\n\r\n"
        assert (await client.post(PATH, content=lines, headers={"content-type": "application/x-ndjson"})).json()["accepted"] == 2


async def test_line_breaks_in_an_item_do_not_break_the_line_of_the_link(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        await gateway(depot).post(PATH, content=json.dumps([item(alarms=["a"])], indent=2).encode())
        assert b"\n" not in bytes(depot.link.told[0][1][0].payload)


async def test_one_bad_item_spoils_no_other(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        bad: list[Any] = [7, {}, {"vehicle_id": "a/b", "message": {}}, item() | {"more": 1}, {"vehicle_id": "E-1", "message": "x" * 20_000}]
        answer = (await gateway(depot).post(PATH, json=[item(), *bad, item()])).json()
        assert (answer["accepted"], answer["refused"]) == (2, 5)
        assert [one["status"] for one in answer["items"]] == ["accepted", *["refused"] * 5, "accepted"]
        assert "16384" in answer["items"][5]["text"]
        lines = b'{"vehicle_id": "E-1"\n\xff\xfe\n' + json.dumps(item()).encode()
        assert [one["status"] for one in (await gateway(depot, name="g2").post(PATH, content=lines)).json()["items"]] == [
            "refused",
            "refused",
            "accepted",
        ]


async def test_gzip_is_taken_within_a_bound(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = gateway(depot)
        packed = gzip.compress(json.dumps([item()] * 500).encode())
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        assert (await client.post(PATH, content=packed, headers=headers)).json()["accepted"] == 500
        assert (await client.post(PATH, content=gzip.compress(b" " * (MOST_BYTES + 1)), headers=headers)).status_code == 413
        assert (await client.post(PATH, content=packed[:-4], headers=headers)).status_code == 400
        assert (await client.post(PATH, content=b"nonsense", headers=headers)).status_code == 400
        assert (await client.post(PATH, content=b"[]", headers={"content-encoding": "br"})).status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b"[1,", 400, "bad_request"),
        (b"[" * 100_000, 400, "bad_request"),
        (b"[" + b"1," * MOST_ITEMS + b"1]", 413, "too_large"),
        (b"1\n" * (MOST_ITEMS + 1), 413, "too_large"),
        (b"x" * 1_100_000, 413, "too_large"),
    ],
)
async def test_what_is_no_batch_is_refused_whole(tmp_path: Path, body: bytes, status: int, code: str) -> None:
    async with site(tmp_path) as depot:
        answer = await gateway(depot).post(PATH, content=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert depot.link.told == []


async def test_a_key_makes_a_batch_idempotent(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = gateway(depot)
        headers = {"idempotency-key": "batch-0001"}
        first = await client.post(PATH, json=[item()], headers=headers)
        again = await client.post(PATH, json=[item()], headers=headers)
        assert (again.status_code, again.content) == (200, first.content)
        assert len(depot.link.told) == 1
        other = await client.post(PATH, json=[item("E-9")], headers=headers)
        assert (other.status_code, "another batch" in other.json()["errors"]["Idempotency-Key"]) == (422, True)
        assert (await gateway(depot, name="other").post(PATH, json=[item()], headers=headers)).status_code == 200
        assert len(depot.link.told) == 2, "another caller's keys are its own"


async def test_who_sends_too_much_is_told_how_long_to_wait(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = gateway(depot)
        batch = [item()] * MOST_ITEMS
        for _ in range(BURST // MOST_ITEMS):
            assert (await client.post(PATH, json=batch)).status_code == 200
        answer = await client.post(PATH, json=batch)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "too_many_samples", "3")
        assert (await gateway(depot, name="other").post(PATH, json=[item()])).status_code == 200
        depot.clock.forward(seconds=3)
        assert (await client.post(PATH, json=batch)).status_code == 200


async def test_a_core_that_does_not_answer_is_told_with_a_time_to_wait(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.link.reachable = False
        answer = await gateway(depot).post(PATH, json=[item()], headers={"idempotency-key": "batch-0001"})
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "core_unreachable", "3")
        depot.link.reachable = True


async def test_a_large_batch_is_handed_over_last_part_first_and_answered_in_order(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        batch = [item(f"E-{k}") for k in range(100)]
        batch[40] = {"vehicle_id": "E-40"}
        answer = (await gateway(depot).post(PATH, json=batch)).json()
        assert [k for k, one in enumerate(answer["items"]) if one["status"] == "refused"] == [40]
        told = [one.vehicle_id for _, items in depot.link.told for one in items]
        assert told[:4] == ["E-96", "E-97", "E-98", "E-99"]
        assert len(told) == 100


async def test_a_token_may_be_bound_to_vehicles(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = gateway(depot, "E-101", "E-102")
        answer = (await client.post(PATH, json=[item("E-101"), item("E-103")])).json()
        assert [one["status"] for one in answer["items"]] == ["accepted", "refused"]
        assert answer["items"][1]["reason"] == "not_allowed"
        assert (await client.get("/api/v1/safety")).status_code == 403
        for vehicles, scopes in ((["E-1"], [Permission.READ]), (["E 1"], [Permission.TELEMETRY]), ([""], [Permission.TELEMETRY])):
            with pytest.raises(UserError):
                depot.users.add_token("wrong", scopes, vehicles=vehicles)


async def test_people_tell_nothing_of_vehicles(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.ADMIN)
        answer = await client.post(PATH, json=[item()], headers={"x-csrf-token": await form_value(client)})
        assert answer.json()["code"] == "forbidden"


async def test_rejections_and_issues_are_read(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        words = {
            "vehicle_id": "E-1",
            "pack_id": "P1",
            "source": "mqtt",
            "reason": "shape",
            "field": "",
            "topic": "t",
            "text": "x",
            "excerpt": "y",
        }
        row = RejectionView(number=7, received_at=NOW, **words)
        depot.link.shown[RejectionsView] = RejectionsView(
            at=NOW, rejections=[row], before=7, counts={"shape": 3}, kept={"shape": 1}, lost=0
        )
        depot.link.shown[TelemetryIssuesView] = TelemetryIssuesView(at=NOW, counts={}, packs=[])
        client = depot.client(authorization=f"Bearer {depot.users.add_token('reader', [Permission.READ])}")
        found = await client.get(f"{PATH}/rejections", params={"vehicle_id": "E-1", "reason": "shape", "limit": 1, "cursor": 9})
        assert (found.json()["rejections"][0]["number"], found.json()["before"]) == (7, 7)
        assert depot.link.asked[-1] == (RejectionsView, {"vehicle": "E-1", "reason": "shape", "limit": "1", "before": "9"})
        assert (await client.get(f"{PATH}/issues")).json() == {"at": "2026-11-20T19:42:00Z", "counts": {}, "packs": []}
        depot.link.shown.clear()
        assert (await client.get(f"{PATH}/rejections")).status_code == 404


def test_a_bomb_takes_no_more_room_than_it_may() -> None:
    with pytest.raises(Problem, match="unpacked"):
        unpacked("gzip", gzip.compress(b"\0" * 50_000_000))


def test_lines_and_arrays_are_told_apart() -> None:
    assert split(b' [1, {"a": [2]}] ') == [b"1", b'{"a": [2]}']
    assert split(b'{"a": 1}\n\n {"b": 2} \r\n') == [b'{"a": 1}', b'{"b": 2}']
