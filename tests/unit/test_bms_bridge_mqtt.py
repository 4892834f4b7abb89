"""What waits for the controller, the broker's accounts, and what a charger says of a battery."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bms_bridge import AccountsError
from bms_bridge.accounts import Accounts, Kind, new_account
from bms_bridge.contract import PackSample, Source, topic_of, topics_of_all
from bms_bridge.mqtt import MOST_KEPT, Inbox, MqttSettings
from bms_bridge.ocpp_samples import UNCERTAINTY_K, sample_of
from bms_bridge.repeats import MOST_SPANS, Repeats
from depot.readings import MeterReading
from depot.values import ConnectorId, PackKey

NOW = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
A, B = PackKey("BUS1", "P1"), PackKey("BUS2", "P1")


def sample(pack: PackKey, celsius: float, *alarms: str, retained: bool = False) -> PackSample:
    return PackSample(
        pack=pack, source=Source.MQTT, received_at=NOW, reported_at=NOW, temperatures_c=(celsius,), alarms=alarms, retained=retained
    )


@pytest.mark.anyio
async def test_the_newest_wins_and_no_alarm_is_lost() -> None:
    inbox = Inbox()
    for number in range(10_000):
        inbox.put(sample(A, number, *(("smoke_or_gas",) if number == 17 else ())))
    inbox.put(sample(B, 30, "cooling_fault"))
    assert len(inbox) == 2
    first, second = await inbox.take(), await inbox.take()
    assert (first.pack, first.temperatures_c, first.alarms) == (A, (9999,), ("smoke_or_gas",))
    assert (second.pack, second.alarms) == (B, ("cooling_fault",))
    assert inbox.overtaken == 9999


@pytest.mark.anyio
async def test_what_the_broker_had_kept_replaces_no_news_and_lends_it_no_alarm() -> None:
    inbox = Inbox()
    inbox.put(sample(A, 25))
    inbox.put(sample(A, 70, "smoke_or_gas", retained=True))
    assert [await inbox.take(), await inbox.take()] == [sample(A, 25), sample(A, 70, "smoke_or_gas", retained=True)]


@pytest.mark.anyio
async def test_news_goes_before_what_was_and_packs_take_turns() -> None:
    inbox = Inbox()
    for number in range(3):
        inbox.put(sample(A, number, retained=True))
        inbox.put(sample(B, 10 + number, retained=True))
    inbox.put(sample(B, 40))
    taken = [(await inbox.take()).temperatures_c[0] for _ in range(7)]
    assert taken == [40, 0, 10, 1, 11, 2, 12]
    assert len(inbox) == 0


@pytest.mark.anyio
async def test_of_what_was_the_last_ones_are_kept_and_no_alarm_is_lost() -> None:
    inbox = Inbox()
    for number in range(500):
        inbox.put(sample(A, number, *(("smoke_or_gas",) if number == 3 else ()), retained=True))
    assert (len(inbox), inbox.overtaken) == (MOST_KEPT, 500 - MOST_KEPT)
    first = await inbox.take()
    assert (first.temperatures_c, first.alarms) == ((500 - MOST_KEPT,), ("smoke_or_gas",))


def test_what_was_heard_is_known_again() -> None:
    repeats = Repeats()
    assert [repeats.new(A, n) for n in (5, 6, 7, 6, 9, 8, 8, 2, 2, 10)] == [True, True, True, False, True, True, False, True, False, True]
    assert repeats.new(B, 5)
    assert repeats._spans[A] == [[2, 2], [5, 10]]


@given(st.lists(st.integers(0, 40), max_size=200))
def test_none_twice_and_none_missed(sequences: list[int]) -> None:
    repeats, heard = Repeats(), set[int]()
    for sequence in sequences:
        assert repeats.new(A, sequence) == (sequence not in heard)
        heard.add(sequence)


def test_many_gaps_cost_little() -> None:
    repeats = Repeats()
    assert all(repeats.new(A, number) for number in range(0, 20_000, 2))
    assert len(repeats._spans[A]) == MOST_SPANS
    assert not repeats.new(A, 1)
    assert repeats.new(A, 19_997)


@pytest.mark.anyio
async def test_taking_waits() -> None:
    inbox = Inbox()
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    inbox.put(sample(A, 25))
    assert await taking == sample(A, 25)


def test_our_id_at_the_broker_is_the_same_for_ever_and_depends_on_the_password() -> None:
    settings = MqttSettings(username="core", password="sesame")
    assert settings.client_id("pune-1") == MqttSettings(username="core", password="sesame").client_id("pune-1")
    assert settings.client_id("pune-1") != replace(settings, password="two").client_id("pune-1")
    assert settings.client_id("pune-1") != settings.client_id("pune-2")
    assert len(settings.client_id("pune-1")) <= 40
    assert "sesame" not in repr(settings)


@pytest.fixture
def accounts() -> tuple[Accounts, dict[str, str]]:
    keys, made = {}, []
    for name, kind, packs in (("core", Kind.CORE, ()), ("BUS1", Kind.VEHICLE, ("P1", "P2")), ("BUS2", Kind.VEHICLE, ("P1",))):
        keys[name], account = new_account(name, kind, packs)
        made.append(account)
    return Accounts("pune-1", made), keys


def test_a_key_opens_its_own_account_only(accounts: tuple[Accounts, dict[str, str]]) -> None:
    known, keys = accounts
    assert len(keys["BUS1"]) == 40
    assert known.admits("BUS1", keys["BUS1"])
    for name, key in (("BUS1", keys["BUS2"]), ("BUS2", keys["BUS1"]), ("BUS1", ""), ("", ""), ("BUS9", keys["BUS1"]), ("BUS1", "\udcff")):
        assert not known.admits(name, key)


def test_who_may_say_and_read_what(accounts: tuple[Accounts, dict[str, str]]) -> None:
    known, _ = accounts
    own, foreign, echo = topic_of("pune-1", PackKey("BUS1", "P2")), topic_of("pune-1", B), "chargeyard/v1/pune-1/core/x/echo"
    assert known.may_publish("BUS1", own)
    for topic in (foreign, topic_of("pune-1", PackKey("BUS1", "P3")), topic_of("pune-2", A), f"{own}/x", echo, "#", ""):
        assert not known.may_publish("BUS1", topic)
    for topic in (own, "#", topics_of_all("pune-1"), echo):
        assert not known.may_read("BUS1", topic)
    assert known.may_read("core", topics_of_all("pune-1"))
    assert known.may_read("core", own)
    assert known.may_publish("core", echo)
    for topic in ("#", "chargeyard/#", topics_of_all("pune-2"), "$SYS/#"):
        assert not known.may_read("core", topic)
    assert not known.may_publish("core", own)
    assert not known.may_publish("nobody", own)
    assert not known.may_read("nobody", own)


def test_accounts_are_kept_without_their_keys_for_the_owner_only(accounts: tuple[Accounts, dict[str, str]], tmp_path: Path) -> None:
    known, keys = accounts
    path = tmp_path / "accounts.json"
    known.save(path)
    assert path.stat().st_mode & 0o077 == 0
    assert not any(key in path.read_text() for key in keys.values())
    again = Accounts.load(path)
    assert again.admits("BUS1", keys["BUS1"])
    assert (again.depot_id, again.accounts) == (known.depot_id, known.accounts)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "mqtt_accounts/2", "depot_id": "d", "accounts": []}', '{"schema": "mqtt_accounts/1"}']
)
def test_a_file_that_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(AccountsError, match="not a file of accounts"):
        Accounts.load(path)


def test_a_file_that_others_can_read_or_that_is_not_there(accounts: tuple[Accounts, dict[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    with pytest.raises(AccountsError, match="cannot be read"):
        Accounts.load(path)
    accounts[0].save(path)
    path.chmod(0o644)
    with pytest.raises(AccountsError, match="chmod 600"):
        Accounts.load(path)
    with pytest.raises(AccountsError, match="cannot be written"):
        accounts[0].save(tmp_path / "nowhere" / "accounts.json")


def reading(**changes: object) -> MeterReading:
    return replace(MeterReading(ConnectorId("CP1", 1), NOW, soc=0.4, pack_temp_c=41.0, voltage_v=230.0), **changes)  # type: ignore[arg-type]  # any field


def test_a_charger_s_reading_becomes_a_less_certain_sample() -> None:
    found = sample_of(A, reading())
    assert found is not None
    assert (found.source, found.temperatures_c, found.soc, found.uncertainty_c) == (Source.OCPP, (41.0,), 0.4, UNCERTAINTY_K)
    assert found.voltage_v is None


@pytest.mark.parametrize("changes", [{"replayed": True}, {"soc": None, "pack_temp_c": None}])
def test_a_reading_that_says_nothing_of_the_battery_now(changes: dict[str, object]) -> None:
    assert sample_of(A, reading(**changes)) is None
