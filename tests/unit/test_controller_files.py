"""Files of stations without a socket: addresses, ranges, forms, the shelf, what an image is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.files.images import image_of
from controller.files.intake import Intake, Unreadable
from controller.files.service import byte_range
from controller.files.shelf import MOST_FILES, Received, Shelf, ShelfFull, TooLarge, shown_name
from controller.files.tickets import BadTicket, Tickets, check, key_of, safe_name, valid_until
from controller.settings import Settings, SettingsError
from depot.values import InvalidValue
from ocpp_server.redaction import redact

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
KEY = key_of(b"k" * 32)
SHA = "ab" * 32


# -- addresses ----------------------------------------------------------------------------------------------------


def parts_of(url: str) -> tuple[tuple[str, ...], str]:
    verb, station, number, sha256, seal, _ = url.removeprefix("http://x/").split("/")
    return (verb, station, number, sha256), seal


def test_an_address_is_for_one_station_one_order_and_one_image_and_expires() -> None:
    url = Tickets(KEY, "http://x").firmware("CP-1", 17, sha256=SHA, name="a.bin", until=NOW)
    assert len(url) < 200  # OCPP 2.0.1 allows 512; stations of 1.6 are narrower
    sealed, seal = parts_of(url)
    check(KEY, sealed, seal, NOW)
    for n, other in enumerate(("logs", "CP-2", "18", "cd" * 32)):
        with pytest.raises(BadTicket) as caught:
            check(KEY, (*sealed[:n], other, *sealed[n + 1 :]), seal, NOW)
        assert not caught.value.expired
    with pytest.raises(BadTicket) as caught:
        check(KEY, sealed, seal, NOW + timedelta(seconds=1))
    assert caught.value.expired


def test_who_reads_the_message_log_cannot_use_an_address() -> None:
    tickets = Tickets(KEY, "https://depot.example/files")
    for url in (tickets.firmware("CP-1", 17, sha256=SHA, name="a.bin", until=NOW), tickets.logs("CP-1", 18, until=NOW)):
        shown = redact({"location": url})["location"]
        seal = url.split("/")[8 if "firmware" in url else 7]
        assert seal not in shown
        assert "…" in shown
        assert shown.startswith("https://depot.example/files/")


@pytest.mark.parametrize("seal", ["", ".", "zzzzzzzz.", "0.AAAA", "zzzzzzzz." + "A" * 32, "é.AAAA", "-1.AAAA", "9" * 5000])
def test_a_seal_that_is_made_up_opens_nothing(seal: str) -> None:
    with pytest.raises(BadTicket):
        check(KEY, ("logs", "CP-1", "17"), seal, NOW)


def test_an_address_lives_as_long_as_its_retries_and_never_for_ever() -> None:
    day = timedelta(days=1)
    assert valid_until(NOW, start=None, retries=None, interval_s=None) == NOW + day
    assert valid_until(NOW, start=NOW + day, retries=2, interval_s=3600) == NOW + 2 * day + timedelta(hours=2)
    assert valid_until(NOW, start=NOW + 900 * day, retries=100, interval_s=86_400) == NOW + 30 * day


@pytest.mark.parametrize(
    ("said", "safe"),
    [
        ("fw-1.2.bin", "fw-1.2.bin"), ("../../etc/passwd", "_.._etc_passwd"), ("...", "file.bin"), ("", "file.bin"),
        ('a"b\r\nX: y.zip', "a_b__X__y.zip"), ("ஃ.bin", "_.bin"), ("x" * 99 + ".hex", "x" * 56 + ".hex"),
    ],
)  # fmt: skip
def test_a_name_that_somebody_chose_is_never_a_path(said: str, safe: str) -> None:
    assert safe_name(said) == safe
    assert "/" not in shown_name(said)


# -- ranges -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-9", (0, 9, True)), ("bytes=90-", (90, 99, True)), ("bytes=-10", (90, 99, True)), ("bytes=0-", (0, 99, True)),
        ("bytes=50-1000", (50, 99, True)), ("bytes=-1000", (0, 99, True)), ("bytes=100-", None), ("bytes=-0", None),
        ("bytes=9-3", (0, 99, False)), ("bytes=0-1,5-6", (0, 99, False)), ("lines=0-1", (0, 99, False)), ("bytes=a-b", (0, 99, False)),
        ("bytes=-", (0, 99, False)), ("", (0, 99, False)), ("bytes=" + "9" * 5000 + "-", (0, 99, False)),
    ],
)  # fmt: skip
def test_rfc_9110_section_14_one_range_is_answered_others_get_the_whole(header: str, wanted: tuple[int, int, bool] | None) -> None:
    assert byte_range(header, 100) == wanted


# -- the shelf ----------------------------------------------------------------------------------------------------


def put(shelf: Shelf, number: int, data: bytes, *, at: datetime = NOW, name: str = "log.gz") -> Received:
    with shelf.writing(1000) as writing:
        writing.write(data)
        return shelf.keep_received(writing, number=number, station_id="CP-1", name=name, at=at, remote="")


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "files")
    with shelf.writing(3) as writing:
        writing.write(b"12")
        with pytest.raises(TooLarge):
            writing.write(b"34")
    assert not any(path.is_file() for path in shelf.folder.rglob("*"))


def test_an_image_stands_under_its_hash_and_no_other_name_finds_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    with shelf.writing(100) as writing:
        writing.write(b"firmware")
        sha256 = shelf.keep_image(writing)
    path = shelf.image(sha256)
    assert path is not None
    assert path.read_bytes() == b"firmware"
    assert path.stat().st_mode & 0o077 == 0
    for bad in ("../" + sha256, sha256[:-1], sha256.upper() + "/", ""):
        assert shelf.image(bad) is None


def test_a_station_that_sends_the_same_file_again_has_sent_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first, again, other = put(shelf, 7, b"one"), put(shelf, 7, b"one"), put(shelf, 7, b"two", name="../../x")
    assert (first.file, again.file, other.file, other.name) == (1, 1, 2, "x")
    assert len(list(shelf.all_received())) == 2
    for n in range(MOST_FILES - 2):
        put(shelf, 7, f"more {n}".encode())
    with pytest.raises(ShelfFull):
        put(shelf, 7, b"one too many")


def test_the_shelf_keeps_what_is_young_and_fits(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for n in range(5):
        put(shelf, n + 1, bytes([n]) * 100, at=NOW - timedelta(days=5 - n))
    assert shelf.prune(NOW, kept_for=timedelta(days=4), most_bytes=1000) == 1  # of five days
    assert shelf.prune(NOW, kept_for=timedelta(days=4), most_bytes=250) == 2  # the oldest of four times 100 bytes
    assert sorted(r.number for r in shelf.all_received()) == [4, 5]
    assert shelf.received_file(1, 1) is None


def test_a_damaged_note_is_left_out(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, 1, b"one")
    (shelf.received / "2-1.json").write_text("{")
    assert [r.number for r in shelf.all_received()] == [1]


# -- forms --------------------------------------------------------------------------------------------------------

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="version"\r\n\r\n1.3\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="fw.bin"\r\nContent-Type: application/x\r\n\r\nBYTES\r\n--B--\r\n'
)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_form_is_read_as_it_comes(tmp_path: Path, size: int) -> None:
    with Shelf(tmp_path).writing(100) as writing:
        intake = Intake(writing, "multipart/form-data; boundary=B")
        asyncio.run(intake.take(pieces(FORM, size)))
        assert (writing.size_bytes, intake.name, intake.fields) == (5, "fw.bin", {"version": "1.3"})


@pytest.mark.parametrize("data", [FORM[:-20], b"", b"nonsense", FORM.replace(b'; filename="fw.bin"', b"")])
def test_a_form_that_is_broken_is_no_file(tmp_path: Path, data: bytes) -> None:
    with Shelf(tmp_path).writing(100) as writing, pytest.raises(Unreadable):
        asyncio.run(Intake(writing, "multipart/form-data; boundary=B").take(pieces(data, 50)))


def test_a_form_without_a_boundary_and_a_field_without_an_end(tmp_path: Path) -> None:
    with Shelf(tmp_path).writing(100) as writing, pytest.raises(Unreadable):
        Intake(writing, "multipart/form-data")
    long = FORM.replace(b"1.3", b"1" * 20_000)
    with Shelf(tmp_path).writing(100) as writing, pytest.raises(TooLarge):
        asyncio.run(Intake(writing, "multipart/form-data; boundary=B").take(pieces(long, 1000)))


# -- images and settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "version"),
        ({"version": "1" * 60}, "50"),
        ({"version": "1", "signature": "QUJD"}, "belong together"),
        ({"version": "1", "signature": "?", "certificate": "x"}, "Base64"),
        ({"version": "1", "signature": "QUJD", "certificate": "x"}, "PEM"),
        ({"version": "1", "signature": "QUJD", "certificate": "é"}, "PEM"),
        ({"version": "1", "signature": "A" * 804, "certificate": "x"}, "800"),
    ],
)
def test_an_image_that_stations_could_not_use_is_refused(said: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        image_of(said, file_name="x.bin", sha256=SHA, size_bytes=1)


MINIMAL = {
    "depot": {"id": "d", "contract_kw": 100, "failsafe_kw": 10, "worst_background_kw": 10},
    "feeder": [{"id": "A", "rating_kw": 100}],
}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"host": "0.0.0.0"}, "public_url"),
        ({"public_url": "depot.example"}, "address such as"),
        ({"public_url": "http://user@depot.example"}, "address such as"),
        ({"tls_cert": "a.pem"}, "belong together"),
        ({"kept_mb": 1, "max_upload_mb": 2}, "no room"),
    ],
)
def test_settings_that_no_station_could_work_with_are_refused(section: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.of({**MINIMAL, "files": section})


def test_the_address_that_stations_are_told() -> None:
    assert Settings.of({**MINIMAL, "port_offset": 3}).files_url == "http://127.0.0.1:8073"
    assert Settings.of({**MINIMAL, "files": {"host": "::1"}}).files_url == "http://[::1]:8070"
    assert Settings.of({**MINIMAL, "files": {"host": "0.0.0.0", "public_url": "https://d.example/f/"}}).files_url == "https://d.example/f"
