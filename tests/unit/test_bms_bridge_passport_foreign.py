"""A passport from elsewhere is hostile until it was looked at; a seal holds for exactly what was signed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fake_passport import passport

from bms_bridge.passport import PassportRefused, SealBroken, foreign
from bms_bridge.passport.seal import canonical, sealed, verified
from bms_bridge.passport.tiers import Tier, shown_to
from bms_bridge.signing import fingerprint_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FINGERPRINT = fingerprint_of(KEY.public_key().public_bytes_raw())


def signed() -> dict[str, Any]:
    return sealed(shown_to(passport(), Tier.REPURPOSER), KEY)


def test_a_seal_fits_what_was_signed_in_whatever_order_it_is_written() -> None:
    document = signed()
    again = json.loads(json.dumps(dict(reversed(document.items())), indent=3))
    seal = verified(again, fingerprint=FINGERPRINT.upper().replace(" ", ""))
    assert (seal.fingerprint, seal.sha256) == (FINGERPRINT, document["signature"]["sha256"])
    read = foreign.read(canonical(again))
    assert (read.whole, read.broken, read.seal) == (True, "", seal)


@pytest.mark.parametrize("path", ["issuer", "tier", "aspects", "absent", "provenance"])
def test_any_change_breaks_the_seal(path: str) -> None:
    document = json.loads(json.dumps(signed()))
    document[path] = {"x": 1} if isinstance(document[path], dict) else "other"
    with pytest.raises(SealBroken, match="changed after it was signed"):
        verified(document)


def test_another_key_or_none_is_told() -> None:
    with pytest.raises(SealBroken, match="is signed by the key"):
        verified(signed(), fingerprint="00" * 20)
    with pytest.raises(SealBroken, match="no signature"):
        verified(passport())
    for wrong in ({"algorithm": "none"}, {"algorithm": "Ed25519"}, {"algorithm": "Ed25519", "key": "!", "value": "!"}):
        with pytest.raises(SealBroken):
            verified(passport() | {"signature": wrong})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\x00\xff", "no text"),
        (b"[]", "no object"),
        (b"{", "no JSON"),
        (b'{"a": NaN}', "no number"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 500 + b"}", "500 digits"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "nested deeper"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
        (b'{"a": "' + b"x" * 9_000 + b'"}', "9,000 characters"),
        (b'{"a": "\\u0000"}', "control characters"),
        (b'{"a": "\\ud800"}', "half of a character"),
        (b'{"a": [' + b"1," * 30_000 + b"1]}", "more than"),
        (b'{"a": "' + b" " * foreign.MOST_BYTES + b'"}', "at most"),
        (b'{"hello": 1}', "none of the model's parts"),
        (b'{"schema": "pack_passport/9", "aspects": {}}', "not known here"),
        (b'{"schema": "pack_passport/1", "aspects": []}', "no object"),
        (b'{"schema": "pack_passport/1", "aspects": {}, "absent": {"/x": 3}}', "no kind and reason"),
        (b'{"schema": "pack_passport/1", "aspects": {"Performance": 3}}', "none of the model's parts"),
    ],
)
def test_hostile_input_is_refused_with_a_sentence(data: bytes, words: str) -> None:
    with pytest.raises(PassportRefused, match=words):
        foreign.read(data)


def test_one_part_alone_is_known_by_its_names_in_utf_16_too() -> None:
    part = {"declarationOfConformity": "https://a.in/x", "resultOfTestReport": "https://a.in/y", "labels": []}
    for data in (json.dumps(part).encode(), json.dumps(part).encode("utf-16")):
        read = foreign.read(data)
        assert (list(read.parts), read.seal, read.whole) == (["Labels"], None, False)
