"""Short messages over a real socket, when a drill is due, signals in a ring, an incident's document and its PDF."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bms_bridge.contract import PackSample, Source
from controller import drill as rules
from controller import notify
from controller.codec import iso
from controller.drill import Schedule, next_at, verdict
from controller.incident_export import document
from controller.incident_files import IncidentFile, IncidentFileError, drop_old, file_of
from controller.incident_pdf import pdf
from controller.incident_signals import KEPT, Signals
from controller.notify.channels import Never, NotNow
from controller.notify.ledger import Ledger
from controller.notify.sms import Sms
from controller.outbox import Message, Rules, message_of
from controller.reached import Reached
from controller.response_steps import Proof
from controller.settings import Settings, SettingsError
from depot import events as ev
from depot.commands import SetShift, ShiftEntry
from depot.emergency import DrillLink, DrillState, LinkState, ShiftPerson
from depot.outputs import SITE
from depot.values import InvalidValue, PackKey
from storage import Store

PUNE = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)  # a Sunday, 14:30 in Pune
BUS = PackKey("BUS1", "P1")


# -- short messages -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def gateway(status: int, got: list[tuple[str, dict[str, Any]]]) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(next(line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-length")))
        got.append((head, json.loads(await reader.readexactly(length))))
        writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/send"


def message(kind: str = "alarm_raised", priority: int | None = 1, title: str = "Battery of BUS1 tripped") -> Message:
    return Message(id="m1", depot_id="d1", seq=4, at=NOW, kind=kind, title=title, text="Keep people away", priority=priority)


def sms(url: str) -> Sms:
    return Sms(url, "secret-token", ("+919876543210", "+919876543211"), "Kothrud", 2.0)


def test_a_short_message_goes_to_all_with_the_token_and_its_id() -> None:
    async def main() -> None:
        got: list[tuple[str, dict[str, Any]]] = []
        async with gateway(202, got) as url:
            await sms(url).send(message())
        (head, body), *_ = got
        assert "authorization: Bearer secret-token" in head
        assert "idempotency-key: m1" in head
        assert body["to"] == ["+919876543210", "+919876543211"]
        assert body["text"] == "Kothrud: Battery of BUS1 tripped. Keep people away"
        assert body["reference"] == "m1"

    asyncio.run(main())


@pytest.mark.parametrize(("status", "kind"), [(500, NotNow), (429, NotNow), (401, Never), (400, Never), (302, NotNow)])
def test_what_the_gateway_answers(status: int, kind: type[Exception]) -> None:
    async def main() -> None:
        async with gateway(status, []) as url:
            with pytest.raises(kind):
                await sms(url).send(message())

    asyncio.run(main())


def test_a_gateway_that_is_gone_is_tried_again() -> None:
    with pytest.raises(NotNow):
        asyncio.run(sms("http://127.0.0.1:9/send").send(message()))


def test_only_the_worst_goes_to_telephones_and_long_words_are_cut() -> None:
    channel = sms("http://127.0.0.1:9/send")
    assert channel.wants(message())
    assert channel.wants(message("drill", None))
    assert channel.wants(message("evacuation_begun", 1))
    assert not channel.wants(message(priority=2))
    assert not channel.wants(message("audit_head", None))
    assert len(channel.text(message(title="x" * 1000))) == 300


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"url": "http://sms.example.org/send", "to": ["+919876543210"]}, "not encrypted"),
        ({"url": "https://sms.example.org/send", "to": ["9876543210"]}, "string should match"),
        ({"url": "https://sms.example.org/send", "to": []}, "at least 1"),
    ],
)
def test_settings_of_short_messages_that_cannot_be(section: dict[str, Any], complaint: str) -> None:
    depot = {"id": "d1", "contract_kw": 100, "failsafe_kw": 50, "worst_background_kw": 10}
    with pytest.raises(SettingsError, match=complaint):
        Settings.of({"depot": depot, "feeder": [{"id": "A", "rating_kw": 100}], "notify": {"sms": section}})


def envelope(data: ev.Event) -> ev.Envelope:
    return ev.Envelope("e1", "d1", 7, data.TYPE, data.VERSION, NOW, None, NOW, "controller", None, None, data)


def test_people_are_told_of_an_evacuation_and_of_a_drill_by_its_name() -> None:
    begun = ev.EvacuationBegun("2026-11-22-1", (SITE,), "smoke", NOW, (ShiftPerson("S-1"),))
    told = message_of(envelope(begun), Rules(alarms_up_to=0), {})
    assert told is not None
    assert (told.kind, told.title, told.priority, told.key) == ("evacuation_begun", "EVACUATE site", 1, "2026-11-22-1")
    drill = message_of(envelope(ev.DrillNotified("2026-11-22-2", "DRILL at Kothrud: this is a test", "…")), Rules(alarms_up_to=0), {})
    assert drill is not None
    assert drill.title.startswith("DRILL")
    quiet = ev.EvacuationBegun("2026-11-22-2", (SITE,), "DRILL", NOW, (), "drill", drill=True)
    assert message_of(envelope(quiet), Rules(), {}) is None, "the drill's own message says so already"


# -- drills ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weekday", "at", "due"),
    [
        (6, "15:00", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        (6, "14:30", datetime(2026, 11, 29, 9, 0, tzinfo=UTC)),
        (0, "10:30", datetime(2026, 11, 23, 5, 0, tzinfo=UTC)),
    ],
    ids=["today", "this very moment is over", "tomorrow"],
)
def test_when_the_next_drill_is_due(weekday: int, at: str, due: datetime) -> None:
    assert next_at(Schedule(weekday, time.fromisoformat(at)), NOW, PUNE) == due


def test_a_link_that_is_not_there_fails_nothing() -> None:
    passed, absent = DrillLink("guard", LinkState.PASSED), DrillLink("outputs", LinkState.NOT_THERE)
    assert verdict([passed, absent]) is DrillState.PASSED
    assert verdict([passed, absent, DrillLink("chargers", LinkState.FAILED)]) is DrillState.FAILED


def test_what_speaks_against_a_drill() -> None:
    calm: dict[str, Any] = {"tripped": (), "evacuating": False, "running": False, "frozen": False, "named_so": False}
    assert rules.against(**calm) == ""
    assert "real emergency" in rules.against(**calm | {"tripped": (BUS,)})
    assert "real emergency" in rules.against(**calm | {"evacuating": True})
    for what in ("running", "frozen", "named_so"):
        assert rules.against(**calm | {what: True})


# -- who is on shift ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [("",), ("S-1", "S-1"), ("S" * 33,), (" S-1",), ("S\n1",)])
def test_a_shift_that_cannot_be(ids: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValue):
        SetShift(command_id="1", actor="mani", people=tuple(ShiftEntry(person) for person in ids))


def test_what_is_kept_of_a_shift_has_no_names() -> None:
    command = SetShift(command_id="1", actor="mani", people=(ShiftEntry("S-1", "V. More", "electrician"),))
    assert "More" not in repr(command.bare)
    assert command.target == "1 on shift"


# -- signals --------------------------------------------------------------------------------------------------------------


def sample(at: datetime, *temperatures: float | None, **more: Any) -> PackSample:
    return PackSample(pack=BUS, source=Source.MQTT, received_at=at, reported_at=at, temperatures_c=temperatures, **more)


def rows_of(signals: Signals, at: datetime | None = None) -> list[Any]:
    piece = signals.since(BUS, at)
    return [] if piece is None else piece.rows()


def test_signals_are_kept_for_half_an_hour_at_most_one_a_second() -> None:
    signals = Signals()
    for tenth in range(40):
        signals.heard(sample(NOW + timedelta(seconds=tenth / 10), 30.0 + tenth, None, cells_v=(3.2, None, 3.3)))
    rows = rows_of(signals)
    assert len(rows) == 5
    assert rows[0] == (NOW, 30.0, 30.0, None, None, None, 3.2, 3.3, None, "mqtt")
    assert [row[0] for row in rows_of(signals, NOW + timedelta(seconds=2))] == [row[0] for row in rows[3:]]
    assert rows_of(signals, rows[-1][0]) == []
    piece = signals.since(BUS)
    assert piece is not None
    assert piece.last().rows() == rows[-1:]
    for second in range(4, KEPT + 200):
        signals.heard(sample(NOW + timedelta(seconds=second), float(second)))
    rows = rows_of(signals)
    assert len(rows) == KEPT
    assert rows[-1][1] == KEPT + 199
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert rows_of(signals, rows[-3][0]) == rows[-2:]
    assert signals.since(PackKey("BUS2", "P1")) is None


# -- files ----------------------------------------------------------------------------------------------------------------


def written(folder: Path, *, closed: bool = True) -> str:
    """An incident's file as the room writes it; a name that no Latin letters can show is in it."""
    file = IncidentFile.open(file_of(folder, "2026-11-22-1"))
    rest = [30.0, 0.5, 80.0, 640.0, 3.2, 3.3, None, "mqtt"]
    rows = [[iso(NOW - timedelta(seconds=1800 - k)), 31 + k / 60, *rest] for k in range(1800)]
    columns = ["at", "hottest_c", "coldest_c", "soc", "current_a", "voltage_v", "cell_min_v", "cell_max_v", "insulation_ohm", "source"]
    at = "2026-11-22T09:00:00.000Z"
    file.append([
        {"kind": "head", "schema": "incident/1", "incident_id": "2026-11-22-1", "depot": "Kothrud", "depot_id": "d1",
         "timezone": "Asia/Kolkata",
         "opened_at": at, "cause": "runaway", "text": "61.2 °C at sensor 0, rising by 1.3 K/s", "evidence": {"hottest_c": "61.2"},
         "vehicle_id": "BUS1", "pack_id": "P1", "connector": "CP-1/1", "area": "bay CP-1", "drill": False},
        {"kind": "signals", "pack": "BUS1/P1", "columns": columns, "rows": rows},
        *({"kind": "fact", "at": at, "title": f"line {k}", "detail": "…", "by": "controller"} for k in range(30)),
        {"kind": "note", "at": at, "by": "sana", "text": "smoke seen above bay 1"},
        {"kind": "people", "deadline": at, "ended_at": at, "ended_by": "sana, safety officer", "reason": "all seen", "people": [
            {"person_id": "S-1", "name": "विजय मोरे", "post": "", "presence": "safe", "at": at, "by": "sana", "point": "A"}]},
        {"kind": "steps", "steps": {"stop": {"state": "confirmed", "detail": "no session runs", "took_s": 0.4}}},
    ])  # fmt: skip
    if closed:
        return file.close({"at": at, "by": "sana", "role": "safety officer", "reason": "pack removed"})
    file.release()
    return ""


def test_a_closed_incident_is_exported_whole(tmp_path: Path) -> None:
    digest = written(tmp_path)
    found = document(tmp_path, "2026-11-22-1")
    assert (found["state"], found["as_written"], found["digest"]) == ("closed", True, digest)
    assert len(found["signals"][0]["rows"]) == 1800
    assert found["people"]["people"][0]["name"] == "विजय मोरे"
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found))
    paper = pdf(found)
    assert paper.startswith(b"%PDF-")
    assert paper.count(b"/Type /Page\n") >= 2


def test_an_open_incident_has_a_pdf_too_and_says_so(tmp_path: Path) -> None:
    written(tmp_path, closed=False)
    found = document(tmp_path, "2026-11-22-1")
    assert (found["state"], found["as_written"]) == ("open", None)
    assert pdf(found).startswith(b"%PDF-")


def test_a_file_that_lost_its_beginning_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = file_of(tmp_path, "2026-11-22-1")
    path.write_bytes(b"no line of ours\n")
    found = document(tmp_path, "2026-11-22-1")
    assert found["damaged_lines"] == [1]
    assert pdf(found).startswith(b"%PDF-")


@pytest.mark.parametrize("number", ["../depot", "2026-11-22", "2026-11-22-1/..", ""])
def test_a_number_that_none_can_have_leads_nowhere(tmp_path: Path, number: str) -> None:
    with pytest.raises(IncidentFileError):
        file_of(tmp_path, number)


def test_old_files_go_and_open_ones_stay(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "notes.txt").write_text("not ours")
    later = datetime.now(UTC) + timedelta(days=40)
    assert drop_old(tmp_path, later, timedelta(days=30), but=["2026-11-22-1"]) == []
    assert drop_old(tmp_path, later, timedelta(days=50), but=[]) == []
    assert drop_old(tmp_path, later, timedelta(days=30), but=[]) == ["2026-11-22-1"]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# -- who was reached ------------------------------------------------------------------------------------------------------


def test_one_channel_that_is_down_is_named_and_the_other_counts(tmp_path: Path) -> None:
    path = tmp_path / "d1-notify.db"
    with Store.open(path) as store:
        store.migrate([notify])
        ledger = Ledger(store, "d1")
        began = NOW.timestamp()
        tripped = Message(
            id="m2", depot_id="d1", seq=5, at=NOW, kind="alarm_raised", title="tripped", key=f"pack_tripped:{BUS}", priority=1
        )
        other = Message(id="m3", depot_id="d1", seq=6, at=NOW, kind="alarm_raised", title="another", key="meter_silent:", priority=1)
        reached = Reached(path, "d1")

        def proof() -> Proof:
            asyncio.run(reached.look(NOW))
            return reached.of({f"pack_tripped:{BUS}"}, NOW)

        assert proof() == Proof(False, "no message has left yet")
        channels = ["webhook", "sms"]
        ledger.take([(5, tripped), (6, other)], channels, began, lambda channel, m: channel != "sms" or m is tripped)
        assert {(d.channel, d.message.id) for d in ledger.due(channels, began)} == {("webhook", "m2"), ("webhook", "m3"), ("sms", "m2")}
        assert proof() == Proof(False, "under way")
        by_sms = next(d for d in ledger.due(channels, began) if d.channel == "sms")
        ledger.later(by_sms, began + 900, "no answer within 10 s")
        assert proof() == Proof(False, "sms: no answer within 10 s")
        by_web = next(d for d in ledger.due(channels, began) if (d.channel, d.message.id) == ("webhook", "m2"))
        ledger.sent(by_web, began + 1)
        assert proof() == Proof(True, "by webhook; not by sms: no answer within 10 s")
        assert reached.of({f"pack_tripped:{BUS}"}, NOW + timedelta(hours=1)).done is False, "of an earlier trip"
    assert Reached(None, "d1").of({"x"}, NOW).done is None
