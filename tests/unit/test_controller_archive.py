"""Backups as files: what was written comes back; what anybody else made up is refused before it can do harm."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.archive import (
    MANIFEST,
    MAX_MANIFEST,
    SCHEMA,
    Archive,
    BackupDamaged,
    BackupError,
    Manifest,
    Member,
    described,
    write_archive,
)

NAMES = ("people.db", "journal.db")
NOW = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)


def manifest_of(members: tuple[Member, ...]) -> Manifest:
    return Manifest(
        schema=SCHEMA,
        depot_id="pune",
        made_at=NOW,
        software="0.1.0",
        sqlite="3.40",
        journal_seq=5,
        next_transaction_id=9,
        members=members,
    )


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    files = {name: tmp_path / name for name in NAMES}
    files["people.db"].write_bytes(b"people" * 1000)
    files["journal.db"].write_bytes(os.urandom(3_000_001))
    write_archive(tmp_path / "b.tar", manifest_of(described(files)), files)
    return tmp_path / "b.tar"


def extract(path: Path, folder: Path) -> Manifest:
    folder.mkdir()
    with Archive.open(path, NAMES) as found:
        found.extract(folder)
        return found.manifest


def test_what_was_written_comes_back_and_every_tar_can_read_it(archive: Path, tmp_path: Path) -> None:
    manifest = extract(archive, tmp_path / "out")
    assert manifest.depot_id == "pune"
    for name in NAMES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / name).read_bytes()
        assert stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    listed = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True).stdout.split()
    assert listed == [MANIFEST, *NAMES]
    assert not list(tmp_path.glob(".*partial"))


def test_a_file_that_changes_while_it_is_written_leaves_no_archive(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    file.write_bytes(b"x")
    manifest = manifest_of(described({"journal.db": file}))
    file.unlink()
    with pytest.raises(FileNotFoundError):
        write_archive(tmp_path / "b.tar", manifest, {"journal.db": file})
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_any_changed_byte_that_matters_is_found(archive: Path, position: float, mask: int) -> None:
    data = bytearray(archive.read_bytes())
    place = int(position * (len(data) - 1024))
    data[place] ^= mask
    changed = archive.with_name("changed.tar")
    changed.write_bytes(data)
    try:
        with Archive.open(changed, NAMES) as found:
            found.verify()
            same = found.manifest
    except BackupError:
        return
    with Archive.open(archive, NAMES) as original:
        # what nothing reads (padding, owner, an equal number) or what is only told to people
        assert [m.sha256 for m in same.members] == [m.sha256 for m in original.manifest.members]


@pytest.mark.parametrize("length", [0, 100, 512, 1000, 5000, 2_000_000, -1024, -1])
def test_a_cut_copy_is_refused_before_anything_is_unpacked(archive: Path, tmp_path: Path, length: int) -> None:
    short = tmp_path / "short.tar"
    short.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(BackupDamaged):
        extract(short, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def tar_of(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, data in entries:
            info.size = len(data) if info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def manifest_text(*members: Member, **changes: object) -> bytes:
    raw = msgspec.to_builtins(manifest_of(members)) | changes
    return msgspec.json.encode(raw)


ZERO = Member("journal.db", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def one(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", told: Member = ZERO) -> bytes:
    return tar_of((entry(MANIFEST), manifest_text(told)), (entry(name, kind, link), b""))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "no tar": lambda: os.urandom(20_000),
    "gzip of a tar": lambda: __import__("gzip").compress(one("journal.db")),
    "no manifest": lambda: tar_of((entry("journal.db"), b"x" * 2000)),
    "manifest is a link": lambda: tar_of((entry(MANIFEST, tarfile.SYMTYPE, "/etc/passwd"), b""), (entry("journal.db"), b"")),
    "manifest too large": lambda: tar_of((entry(MANIFEST), b" " * (MAX_MANIFEST + 1))),
    "manifest is no JSON": lambda: tar_of((entry(MANIFEST), b"{" * 5000)),
    "manifest is deep": lambda: tar_of((entry(MANIFEST), b"[" * 60_000)),
    "unknown field": lambda: tar_of((entry(MANIFEST), manifest_text(ZERO, more=1)), (entry("journal.db"), b"")),
    "no time zone": lambda: tar_of((entry(MANIFEST), manifest_text(ZERO, made_at="2026-03-29T18:30:00")), (entry("journal.db"), b"")),
    "parent folder": lambda: one("../journal.db"),
    "absolute path": lambda: one("/journal.db"),
    "symbolic link": lambda: one("journal.db", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": lambda: one("journal.db", tarfile.LNKTYPE, "depot.secret"),
    "folder": lambda: one("journal.db", tarfile.DIRTYPE),
    "device": lambda: one("journal.db", tarfile.CHRTYPE),
    "pipe": lambda: one("journal.db", tarfile.FIFOTYPE),
    "sparse": lambda: one("journal.db", tarfile.GNUTYPE_SPARSE),
    "long name": lambda: one("a" * 300),
    "extended header": lambda: tar_of(
        (entry(MANIFEST), manifest_text(ZERO)), (entry("journal.db" + "ä" * 60), b""), form=tarfile.PAX_FORMAT
    ),
    "member that a backup has not": lambda: one("sshd_config", told=Member("sshd_config", 0, ZERO.sha256)),
    "name with a path": lambda: one("x", told=Member("../../etc/cron.d/x", 0, ZERO.sha256)),
    "twice": lambda: tar_of(
        (entry(MANIFEST), manifest_text(ZERO, ZERO)), (entry("journal.db"), b""), (entry("journal.db"), b""), (entry("journal.db"), b"")
    ),
    "negative size": lambda: one("journal.db", told=Member("journal.db", -5, ZERO.sha256)),
    "size bomb in the manifest": lambda: one("journal.db", told=Member("journal.db", 10**15, ZERO.sha256)),
    "huge number": lambda: one("journal.db", told=Member("journal.db", 10**18, ZERO.sha256)),
    "other size in the header": lambda: tar_of((entry(MANIFEST), manifest_text(ZERO)), (entry("journal.db"), b"more")),
    "wrong hash": lambda: one("journal.db", told=Member("journal.db", 0, "0" * 64)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_backup_of_ours_is_refused_and_writes_nothing_outside(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "hostile.tar"
    path.parent.mkdir()
    path.write_bytes(HOSTILE[kind]())
    with pytest.raises(BackupDamaged, match="no sound backup"):
        extract(path, tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"in", "out"}
    assert all(p.stat().st_size == 0 and not p.is_symlink() for p in (tmp_path / "out").iterdir())


def test_a_newer_form_says_which_version_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new.tar"
    path.write_bytes(tar_of((entry(MANIFEST), manifest_text(ZERO, schema="chargeyard-backup/2")), (entry("journal.db"), b"")))
    with pytest.raises(BackupError, match="chargeyard-backup/2, this version reads chargeyard-backup/1"):
        extract(path, tmp_path / "out")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is no file"), Archive.open(Path("/dev/null"), NAMES):
        pass
