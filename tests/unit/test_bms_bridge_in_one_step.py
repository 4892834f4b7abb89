"""Files written in one step: the old one stays where the new one cannot be whole, and a device is never replaced by a file."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from bms_bridge import in_one_step
from bms_bridge.health import ModelRefused
from bms_bridge.health.model_file import ModelFile, write_model
from bms_bridge.in_short import in_short


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    in_one_step.write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_no_file_stays_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError, match="is no file"):
            in_one_step.write(tmp_path / name, b"new")
        with pytest.raises(ModelRefused, match="is no file"):
            write_model(tmp_path / name, ModelFile("soh", {}, {}))
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]
    with pytest.raises(OSError, match="its folder is not there"):
        in_one_step.write(tmp_path / "none" / "a", b"new")


def test_an_error_is_said_in_its_first_line_with_words() -> None:
    assert in_short(ValueError("\n  a line  \nmore")) == "a line"
    assert in_short(ValueError()) == "ValueError"
    assert len(in_short(ValueError("x" * 999))) == 160


def listed(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_ctrl_c_and_a_full_disk_leave_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        for name in ("a", "b"):
            with pytest.raises(OSError, match="too large") as full:
                in_one_step.write(tmp_path / name, bytes(5000))
            assert (full.value.errno, full.value.filename) == (errno.EFBIG, str(tmp_path / name))
            assert "ulimit -f" in in_one_step.why(full.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    for name in ("a", "b"):
        with pytest.raises(KeyboardInterrupt):
            in_one_step.write(tmp_path / name, b"new")
    assert listed(tmp_path) == {"a": b"old"}


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "to_a").symlink_to("a")
    in_one_step.write(tmp_path / "to_a", b"new")
    assert (tmp_path / "to_a").is_symlink()
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "a").stat().st_mode & 0o777) == (b"new", 0o640)
    in_one_step.write(tmp_path / "secret", b"1", mode=0o600)
    in_one_step.write(tmp_path / "a", b"1", mode=0o600)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("secret", "a")} == {0o600}
    with pytest.raises(FileExistsError):
        in_one_step.write(tmp_path / "a", b"2", replace=False)
    assert (tmp_path / "a").read_bytes() == b"1"


def test_where_nobody_may_write_is_known_before_the_work() -> None:
    with pytest.raises(OSError, match="/sys/") as error:
        in_one_step.ready(Path("/sys/a"))
    assert error.value.filename == "/sys/a"
