"""Files of incidents in a backup: whole lines, nothing that is there is overwritten, nothing foreign is taken."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from controller.archive import BackupDamaged
from controller.incident_bundle import bring_back, check, pack
from controller.incident_files import IncidentFile, read

CLOSED, OPEN = "2026-11-20-1", "2026-11-22-1"
LONG_AGO = 1_700_000_000


def incidents(folder: Path) -> Path:
    """A closed file of long ago, and one that is being written; half a line at its end."""
    for number in (CLOSED, OPEN):
        file = IncidentFile.open(folder / f"{number}.jsonl")
        file.append([{"kind": "head", "incident_id": number}])
        if number == CLOSED:
            file.close({"at": "later"})
        file.release()
    os.utime(folder / f"{CLOSED}.jsonl", (LONG_AGO, LONG_AGO))
    with (folder / f"{OPEN}.jsonl").open("ab") as half:
        half.write(b'0000 {"kind"')
    (folder / "notes.jsonl").write_text("somebody's own", encoding="utf-8")
    return folder


def test_what_was_lost_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = incidents(tmp_path / "pune-incidents")
    bundle = tmp_path / "incidents.tar"
    assert pack(folder, bundle) == 2
    there = tmp_path / "new"
    assert check(bundle, there) == 2
    assert not there.exists(), "a check writes nothing"
    assert bring_back(bundle, there) == 2
    closed = read(there / f"{CLOSED}.jsonl")
    assert (closed.sound, closed.damaged) == (True, ())
    assert (there / f"{CLOSED}.jsonl").stat().st_mtime == LONG_AGO, "its age decides when it is dropped"
    assert (there / f"{CLOSED}.jsonl").stat().st_mode & 0o777 == 0o400
    going_on = IncidentFile.open(there / f"{OPEN}.jsonl")
    going_on.append([{"kind": "note"}])
    going_on.release()
    assert [record["kind"] for record in read(there / f"{OPEN}.jsonl").records] == ["head", "note"]


def test_what_is_there_knows_more_and_stays(tmp_path: Path) -> None:
    folder = incidents(tmp_path / "pune-incidents")
    bundle = tmp_path / "incidents.tar"
    pack(folder, bundle)
    (folder / f"{CLOSED}.jsonl").unlink()
    more = (folder / f"{OPEN}.jsonl").read_bytes() + b"more\n"
    (folder / f"{OPEN}.jsonl").write_bytes(more)
    assert bring_back(bundle, folder) == 1
    assert (folder / f"{OPEN}.jsonl").read_bytes() == more
    assert {path.name for path in folder.iterdir()} == {f"{CLOSED}.jsonl", f"{OPEN}.jsonl", "notes.jsonl"}


def test_a_depot_without_incidents_has_no_bundle(tmp_path: Path) -> None:
    assert pack(tmp_path / "none", tmp_path / "incidents.tar") == 0
    assert not (tmp_path / "incidents.tar").exists()


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x.jsonl", "/tmp/2026-11-20-1.jsonl", "notes.jsonl", "2026-11-20-1.jsonl/x", "2026-11-20-1"]
)
def test_a_foreign_name_is_refused(tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "incidents.tar"
    with tarfile.open(bundle, "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(BackupDamaged, match="no incident's file"):
        check(bundle, tmp_path / "there")


def test_a_link_and_a_broken_tar_are_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "incidents.tar"
    with tarfile.open(bundle, "w") as tar:
        info = tarfile.TarInfo(f"{CLOSED}.jsonl")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(BackupDamaged, match="no incident's file"):
        check(bundle, tmp_path / "there")
    bundle.write_bytes(b"no tar at all" * 100)
    with pytest.raises(BackupDamaged, match="cannot be read"):
        check(bundle, tmp_path / "there")
