"""Transfers to and from stations: what a word of a station means, and to which order it belongs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from depot import files as fl
from depot.files import Files, ReceivedFile, Standing, Topic, Transfer, TransferKind, TransferReport

AT = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def transfer(number: int, kind: TransferKind = TransferKind.FIRMWARE, station_id: str = "CP-01") -> Transfer:
    return Transfer(number, kind, station_id, "mani", AT, AT)


def files(*transfers: Transfer) -> Files:
    found = Files()
    for one in transfers:
        found = fl.ordered(found, one)
    return found


def word(status: str, number: int | None = None, topic: Topic = Topic.FIRMWARE, station_id: str = "CP-01") -> TransferReport:
    return TransferReport(station_id, topic, status, number)


def test_a_word_without_a_number_is_about_the_stations_newest_order_of_that_kind() -> None:
    known = files(transfer(1), transfer(2), transfer(3, station_id="CP-02"), transfer(4, TransferKind.DIAGNOSTICS))
    meant = known.meant_by(word("Downloading"), AT)
    assert meant is not None
    assert meant.number == 2
    assert known.meant_by(word("Downloading"), AT + fl.FORGET * 2) is None


@pytest.mark.parametrize(
    "report",
    [
        word("Downloading", 3),  # of another station
        word("Downloading", 4),  # a log
        word("Uploading", 1, Topic.LOG),  # a firmware
        word("Downloading", 99),
        word("Idle"),
        word("Ordered", 1),  # nothing new
    ],
)
def test_what_says_nothing_new_of_an_order_of_ours_changes_nothing(report: TransferReport) -> None:
    known = files(transfer(1), transfer(3, station_id="CP-02"), transfer(4, TransferKind.DIAGNOSTICS))
    assert known.meant_by(report, AT) is None


def test_a_station_that_never_stops_talking_is_not_heard_without_end() -> None:
    known = files(replace(transfer(1), reports=fl.MOST_REPORTS))
    assert known.meant_by(word("Downloading"), AT) is None


def test_a_report_may_be_quicker_than_the_answer() -> None:
    known = fl.reported(files(transfer(1)), 1, AT, "Downloading")
    known = fl.answered(known, 1, AT, state=fl.ACCEPTED, detail="", file_name="")
    assert known.transfers[1].state == "Downloading"


def test_an_accepted_order_ends_the_one_before_it() -> None:
    known = files(transfer(1), transfer(2, TransferKind.DIAGNOSTICS), transfer(3))
    known = fl.answered(known, 3, AT, state=fl.ACCEPTED, detail="AcceptedCanceled", file_name="")
    assert [t.standing for t in known.transfers.values()] == [Standing.SUPERSEDED, Standing.UNDER_WAY, Standing.UNDER_WAY]
    assert known.meant_by(word("Downloading", 1), AT) is None


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("Installed", Standing.DONE), ("Installing", Standing.UNDER_WAY), ("DownloadFailed", Standing.FAILED),
        ("InvalidSignature", Standing.FAILED), ("InstallationFailed", Standing.FAILED), ("SomethingNew", Standing.UNDER_WAY),
    ],
)  # fmt: skip
def test_what_a_state_means(status: str, standing: Standing) -> None:
    assert fl.reported(files(transfer(1)), 1, AT, status).transfers[1].standing is standing


def test_a_log_is_done_when_it_is_here_not_when_its_station_says_so() -> None:
    known = fl.reported(files(transfer(1, TransferKind.DIAGNOSTICS)), 1, AT, "Uploaded")
    assert known.transfers[1].standing is Standing.UNDER_WAY
    assert known.transfers[1].overdue(AT + timedelta(hours=2))
    once = fl.received(known, 1, ReceivedFile(1, 10, "ab"))
    assert fl.received(once, 1, ReceivedFile(1, 10, "ab")) == once
    assert once.transfers[1].standing is Standing.DONE
    assert not once.transfers[1].overdue(AT + timedelta(hours=2))


def test_an_order_for_later_is_not_overdue_before_its_time() -> None:
    later = replace(transfer(1), not_before=AT + timedelta(hours=10))
    assert not later.overdue(AT + timedelta(hours=11))
    assert later.overdue(AT + timedelta(hours=13))


def test_the_oldest_is_forgotten_and_numbers_are_not_used_again() -> None:
    known = files(*(transfer(n) for n in range(1, fl.KEPT + 4)))
    assert len(known.transfers) == fl.KEPT
    assert min(known.transfers) == 4
    assert known.next_number == fl.KEPT + 4
