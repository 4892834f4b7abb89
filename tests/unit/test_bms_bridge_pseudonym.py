"""Numbers of vehicles are never kept in clear, wherever they stand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bms_bridge.contract import Message, PackSample, Rejection, RejectReason, Source, message_of
from bms_bridge.edge import wire
from bms_bridge.pseudonym import Pseudonyms
from depot.values import PackKey

VIN = "MAT445401JPA12345"
NOW = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
ours = Pseudonyms.of_secret(b"x" * 32)


def test_a_pseudonym_is_stable_keyed_and_tells_nothing() -> None:
    assert ours.of(VIN) == ours.of(VIN.lower()) == Pseudonyms.of_secret(b"x" * 32).of(f" {VIN} ")
    assert ours.of(VIN) != Pseudonyms.of_secret(b"y" * 32).of(VIN)
    assert len(ours.of(VIN)) == 20
    assert ours.redact(ours.of(VIN)) == ours.of(VIN)


@pytest.mark.parametrize("text", [VIN, f"bus {VIN}.", f"id={VIN};", f"bus_{VIN.lower()}_x", f'{{"vin":"{VIN}"}}', "12345678901234567"])
def test_whatever_has_the_shape_is_replaced(text: str) -> None:
    assert VIN.lower() not in ours.redact(text).lower()
    assert "vin_" in ours.redact(text)


@pytest.mark.parametrize(
    "text",
    ["", "over_temperature", "0.12345678901234567", "ABCDEFGHJKLMNPRST", "MAT445401JPA1234", "MAT445401JPA123456", "MAT445401JPO12345"],
)
def test_what_has_not_the_shape_stays(text: str) -> None:
    assert ours.redact(text) == text


def test_an_excerpt_keeps_no_part_of_a_number_that_was_cut_and_no_number_in_escapes() -> None:
    cut = ("x " * 124) + VIN[:8]
    assert len(cut) == 256
    assert VIN[:8] not in ours.excerpt(cut)
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in VIN)
    assert VIN not in ours.excerpt(f'{{"vin": "{escaped}"}}').replace("\\u00", "")
    assert "vin_" in ours.excerpt(f'{{"vin": "{escaped}"}}')


def test_a_sample_is_cleaned_unless_the_depot_knows_the_pack_by_that_name() -> None:
    pack = PackKey(VIN, "P1")
    said = PackSample(pack=pack, source=Source.MQTT, received_at=NOW, reported_at=NOW, firmware=f"fw {VIN}", alarms=(VIN.lower(), "a"))
    clean = ours.sample(said, lambda _: False)
    assert clean.pack == PackKey(ours.of(VIN), "P1")
    assert clean.firmware == f"fw {ours.of(VIN)}"
    assert clean.alarms == (ours.of(VIN), "a")
    assert ours.sample(said, lambda found: found == pack).pack == pack
    plain = PackSample(pack=PackKey("E-1", "P1"), source=Source.MQTT, received_at=NOW, reported_at=NOW)
    assert ours.sample(plain, lambda _: False) is plain


def test_a_rejection_is_cleaned_everywhere() -> None:
    said = Rejection(RejectReason.SHAPE, f"unknown field `{VIN}`", f"a/{VIN}/b", f'{{"{VIN}": 1', NOW, PackKey(VIN, "P1"))
    clean = ours.rejection(said)
    assert VIN not in f"{clean}"
    assert clean.pack == PackKey(ours.of(VIN), "P1")


def test_a_message_is_cleaned_and_can_still_be_read() -> None:
    said = {
        "schema": "pack_telemetry/2",
        "reported_at": "2026-11-20T19:42:00Z",
        "temperatures_c": [25.0],
        "firmware": f"fw {VIN}",
        "alarms": [VIN.lower()],
    }
    plain = json.dumps(said).encode()
    escaped = plain.replace(VIN.encode(), "".join(f"\\u{ord(letter):04x}" for letter in VIN).encode())
    for payload in (plain, escaped):
        clean = ours.message(payload)
        found = message_of(PackKey("V", "P"), clean, source=Source.MQTT, received_at=NOW)
        assert isinstance(found, Message), found
        assert VIN.lower() not in clean.decode().lower()
        assert (found.samples[0].firmware, found.samples[0].alarms) == (f"fw {ours.of(VIN)}", (ours.of(VIN),))
    harmless = json.dumps(said | {"firmware": "1.0", "alarms": []}).encode()
    assert ours.message(harmless) is harmless
    assert ours.message(b'{"\\u0041": ') == b""


def test_a_packed_message_is_cleaned_and_can_still_be_read() -> None:
    part = wire.Part(next(group for group in wire.GROUPS if group.name == "soc"), 1, 1)
    block = wire.Block(boot=1, firmware=f"fw {VIN}", first_ms=1_700_000_000_000, parts=(part,), ticks=(0,), sequences=(1,), rows=((500,),))
    clean = ours.message(wire.encode(block))
    assert VIN.encode() not in clean
    assert wire.decode(clean) == replace(block, firmware=f"fw {ours.of(VIN)}")
