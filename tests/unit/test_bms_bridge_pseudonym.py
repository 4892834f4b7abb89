"""Numbers of vehicles are never kept in clear, wherever they stand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bms_bridge.contract import PackSample, Rejection, RejectReason, Source
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
    assert "vin-" in ours.redact(text)


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
    assert "vin-" in ours.excerpt(f'{{"vin": "{escaped}"}}')


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
