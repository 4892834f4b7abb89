"""Contact data: sealed so that only the key opens them, at their own place; masked; found by a keyed index; kept out of logs."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments import PaymentsError
from payments.masks import LogFilter, mask_email, mask_name, mask_phone, mask_vpa, phone_digits, scrub, without_persons
from payments.privacy import ContactKeys, Sealed, UnreadableContact, Vault, new_key

OLD, NEW = "11" * 32, "22" * 32


def vault(*keys: str) -> Vault:
    return Vault(ContactKeys.parse(",".join(keys or (NEW,))))


@given(st.text(max_size=200))
def test_what_is_sealed_opens_again(plain: str) -> None:
    held = vault()
    sealed = held.seal(plain, "kothrud/g-1/phone")
    assert held.open(sealed, "kothrud/g-1/phone") == plain
    assert len(plain) < 6 or plain not in sealed.text


def test_no_two_seals_are_equal() -> None:
    held = vault()
    assert len({held.seal("+919876543210", "p").text for _ in range(50)}) == 50


def test_a_copied_row_opens_nowhere_else() -> None:
    held = vault()
    sealed = held.seal("+919876543210", "kothrud/g-1/phone")
    for place in ("kothrud/g-2/phone", "kothrud/g-1/name", "pune/g-1/phone"):
        with pytest.raises(UnreadableContact, match="another driver"):
            held.open(sealed, place)


def test_changed_bytes_do_not_open() -> None:
    held = vault()
    sealed = held.seal("+919876543210", "p")
    for text in (sealed.text[:-4] + "AAAA", "", "not base64 at all!", sealed.text[:10]):
        with pytest.raises(UnreadableContact):
            held.open(Sealed(sealed.key_id, text), "p")


def test_rotation_old_key_opens_and_new_key_seals() -> None:
    before = vault(OLD).seal("rani@okaxis", "p")
    both = vault(NEW, OLD)
    assert both.open(before, "p") == "rani@okaxis"
    assert both.seal("x", "p").key_id == vault(NEW).key_id
    with pytest.raises(UnreadableContact, match="CHARGEYARD_CONTACTS_KEY"):
        vault(NEW).open(before, "p")
    assert list(both.indices("9876543210")) == [vault(NEW).index("9876543210"), vault(OLD).index("9876543210")]


def test_the_index_is_keyed_and_knows_every_way_to_write_a_number() -> None:
    held = vault()
    ways = ("9876543210", "09876543210", "+91 98765-43210", "0091 98765 43210", "919876543210")
    assert {phone_digits(way) for way in ways} == {"919876543210"}
    assert len({held.index(way) for way in ways}) == 1
    assert held.index("9876543210") != vault(OLD).index("9876543210")
    assert held.index("9876543210") != held.index("9876543211")


@pytest.mark.parametrize("text", ["", "zz" * 32, "11" * 31, f"{NEW},11", "password"])
def test_a_bad_key_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(PaymentsError, match="openssl rand -hex 32") as refused:
        ContactKeys.parse(text)
    assert not text or text not in str(refused.value)


def test_keys_show_nothing_of_themselves() -> None:
    keys = ContactKeys.parse(new_key())
    assert keys.keys[0].hex() not in repr(keys) + repr(Vault(keys))


def test_masks() -> None:
    assert mask_phone("+91 98765 43210") == "98•••••210"
    assert mask_phone("123") == "•••••"
    assert mask_vpa("rani.k@okaxis") == "ra•••@okaxis"
    assert mask_vpa("rani") == "•••••"
    assert mask_email("rani@example.org") == "r•••@example.org"
    assert mask_name("Rani Kulkarni") == "R••• K•••"
    assert mask_name("") == "•••••"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("call +919876543210 now", "call 98•••••210 now"),
        ("call 98765 43210.", "call 98•••••210."),
        ("contact=09876543210;", "contact=98•••••210;"),
        ("payer rani.k@okaxis declined", "payer ra•••@okaxis declined"),
        ("mail to rani@example.org", "mail to r•••@example.org"),
    ],
)
def test_logs_are_scrubbed(said: str, kept: str) -> None:
    assert scrub(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "session 0199a3b2-7f00-7abc-8def-9876543210ab ended",
        "order order_Nx9876543210Zq paid 145000 paise",
        "at 1763830800123 ms",
        "listening on 127.0.0.1:9876",
        "invoice 2627/000117",
        "rev 2026-11-22T18:00:00.123Z",
    ],
)
def test_ids_times_and_amounts_stay(said: str) -> None:
    assert scrub(said) == said


def test_the_filter_masks_arguments_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("payments.test_privacy")
    told = LogFilter()
    logger.addFilter(told)
    try:
        with caplog.at_level(logging.INFO):
            logger.info("mandate of %s by %s", "+919876543210", "rani@okaxis")
            try:
                raise ValueError("no such payer: rani@okaxis")
            except ValueError:
                logger.exception("broke")
    finally:
        logger.removeFilter(told)
    assert "9876543210" not in caplog.text
    assert "rani@okaxis" not in caplog.text
    assert "98•••••210 by ra•••@okaxis" in caplog.text


def test_a_message_is_kept_without_persons() -> None:
    told = {"id": "pay_1", "amount": 100, "email": "r@example.org", "contact": "+919876543210", "vpa": "r@ybl", "upi": {"vpa": "r@ybl"}}
    message = {"payload": {"payment": {"entity": told | {"notes": {"bill": "s-1"}}}, "items": [told, 1, None]}}
    kept = without_persons(message)
    assert kept["payload"]["payment"]["entity"] == {"id": "pay_1", "amount": 100, "notes": {"bill": "s-1"}}
    assert kept["payload"]["items"] == [{"id": "pay_1", "amount": 100}, 1, None]
    assert told["email"] == "r@example.org"  # the message itself is not touched
