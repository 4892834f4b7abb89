"""Model files: what was written is read; what is damaged, foreign, or a program is not."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bms_bridge.health import ModelRefused
from bms_bridge.health import model_file as module
from bms_bridge.health.model_file import ModelFile, checksum, read_model, write_model


@pytest.fixture
def model() -> ModelFile:
    return ModelFile("soh", {"kind": {"level": 0.9}}, {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2], dtype=np.int32)})


def test_what_was_written_is_read(tmp_path: Path, model: ModelFile) -> None:
    told = write_model(tmp_path / "m.npz", model)
    read = read_model(tmp_path / "m.npz", "soh")
    assert (read.words, checksum(read)) == (model.words, told)
    np.testing.assert_array_equal(read.arrays["a"], model.arrays["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


def test_a_changed_number_is_told(tmp_path: Path, model: ModelFile) -> None:
    write_model(tmp_path / "m.npz", model)
    with np.load(tmp_path / "m.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["a"][0, 0] = 7
    np.savez_compressed(tmp_path / "m.npz", **arrays)
    with pytest.raises(ModelRefused, match="damaged"):
        read_model(tmp_path / "m.npz", "soh")


def test_a_pickle_is_never_run(tmp_path: Path, model: ModelFile) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (ran.write_text, ("x",))

    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Trap()))
    write_model(tmp_path / "inside.npz", model)
    inner = io.BytesIO()
    np.save(inner, np.array([Trap()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "inside.npz", "a") as archive:
        archive.writestr("c.npy", inner.getvalue())
    for name in ("plain.npz", "inside.npz"):
        with pytest.raises(ModelRefused, match="no model file"):
            read_model(tmp_path / name, "soh")
    assert not ran.exists()


def test_other_purpose_missing_file_and_size(tmp_path: Path, model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "m.npz", model)
    with pytest.raises(ModelRefused, match="is a model for soh, not for grade"):
        read_model(tmp_path / "m.npz", "grade")
    with pytest.raises(ModelRefused, match="soh-train"):
        read_model(tmp_path / "none.npz", "soh")
    (tmp_path / "short.npz").write_bytes((tmp_path / "m.npz").read_bytes()[:200])
    with pytest.raises(ModelRefused, match="no model file"):
        read_model(tmp_path / "short.npz", "soh")
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    with pytest.raises(ModelRefused, match="unpacked"):
        read_model(tmp_path / "m.npz", "soh")


def test_an_older_schema_says_what_to_do(tmp_path: Path, model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCHEMA", "health-model/0")
    write_model(tmp_path / "m.npz", model)
    monkeypatch.undo()
    with pytest.raises(ModelRefused, match="train it anew"):
        read_model(tmp_path / "m.npz", "soh")


def npy(header: str, data: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header.ljust(117) + "\n").to_bytes(2, "little") + (header.ljust(117) + "\n").encode() + data


@pytest.mark.parametrize(
    "parts",
    [
        {"a.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", bytes(80))},
        {"a.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': ((((((,), }", b"")},
        {"description.npy": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (200000,), }", b"[" * 100_000 + b"]" * 100_000)},
        {"description.npy": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (7,), }", b'{"a":1}')},
    ],
)
def test_a_file_that_was_made_to_break_the_reader_is_refused(tmp_path: Path, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(ModelRefused, match="no model file"):
        read_model(tmp_path / "m.npz", "soh")


def test_bytes_that_were_changed_anywhere_are_refused(tmp_path: Path, model: ModelFile) -> None:
    write_model(tmp_path / "m.npz", model)
    whole = (tmp_path / "m.npz").read_bytes()
    for at in range(0, len(whole), 7):
        for flip in (0x01, 0x80):
            (tmp_path / "m.npz").write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
            with contextlib.suppress(ModelRefused):  # some bytes of a zip say nothing
                read = read_model(tmp_path / "m.npz", "soh")
                assert (read.words, checksum(read)) == (model.words, checksum(model)), at
