"""A pack's history out of one depot and into another: complete, signed, and refused with a sentence when anything was touched."""

from __future__ import annotations

import io
import json
import re
import zipfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lake_kit import A, B, Bench

from bms_bridge.lake import ArchiveRefused, LakeRefused, lifetime, passing
from bms_bridge.signing import KeyRefused, signing_key
from depot.values import PackKey

HERE = PackKey("N-7", "P1")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    tmp_path = tmp_path_factory.mktemp("seller")
    bench = Bench(tmp_path / "old")
    with bench.lake() as lake:
        bench.drive(lake, 20)
        bench.forward(days=20)
        bench.drive(lake, 10)
        while lake.step():
            pass
        bench.drive(lake, 5)
        lake.fact(A, at_us=7, seq=3, cause="smoke")
        key = signing_key(tmp_path / "lake.pem")
        done = passing.export(lake, A, tmp_path / "a.zip", key=key, facts={"chemistry": "LFP", "capacity_wh": 200_000, "cells": None})
        assert done.rows == 35 * 6
        return done.path, done.fingerprint


def test_everything_of_the_pack_is_in_it_and_no_name(archive: tuple[Path, str]) -> None:
    path, fingerprint = archive
    manifest, life = passing.verified(path, fingerprint=fingerprint)
    assert (life.samples, life.trips, manifest["pack"]["chemistry"]) == (210, 1, "LFP")
    with zipfile.ZipFile(path) as found:
        names = set(found.namelist())
        assert names == {"manifest.json", "signature.json", "lifetime.json", "samples/2026-11.parquet", "samples/2026-12.parquet"}
        tables = [pq.read_table(io.BytesIO(found.read(name))) for name in names if name.endswith("parquet")]
        assert sum(table.num_rows for table in tables) == 210
        for name in names:
            assert b"E-101" not in found.read(name)
            assert b"E-102" not in found.read(name)


def test_the_buyer_keeps_it_with_the_pack_once_and_passes_it_on(archive: tuple[Path, str], tmp_path: Path) -> None:
    path, fingerprint = archive
    bench = Bench(tmp_path / "new")
    with bench.lake() as lake:
        done = passing.take_in(lake, path, HERE, fingerprint=fingerprint)
        assert (done.depot_id, done.rows, done.again) == ("pune", 210, False)
        assert passing.take_in(lake, path, HERE, fingerprint=fingerprint.replace(" ", "")).again
        bench.drive(lake, 3, packs=(HERE,))
    with bench.lake() as lake:
        past = passing.inherited(lake, HERE)
        assert [(one["depot"], one["rows"], one["record"]["trips"]) for one in past] == [("pune", 210, 1)]
        assert past[0]["record"]["equivalent_full_cycles"] > 0
        key = signing_key(tmp_path / "second.pem")
        second = passing.export(lake, HERE, tmp_path / "b.zip", key=key, facts={})
        manifest, life = passing.verified(second.path, fingerprint=second.fingerprint)
        assert life.samples == 18
        assert any(row["name"].startswith("before/") for row in manifest["files"])
        with pytest.raises(LakeRefused, match="never heard"):
            passing.export(lake, B, tmp_path / "c.zip", key=key, facts={})


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(path) as found:
        parts = {name: found.read(name) for name in found.namelist()}
    change(parts)
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return target


def _younger(parts: dict[str, bytes]) -> None:
    record = json.loads(parts["lifetime.json"])
    record["record"]["trips"] = 0
    parts["lifetime.json"] = json.dumps(record).encode()


def _less(parts: dict[str, bytes]) -> None:
    manifest = json.loads(parts["manifest.json"])
    manifest["rows"] = 1
    parts["manifest.json"] = json.dumps(manifest).encode()


def _signed_by_another(parts: dict[str, bytes]) -> None:
    key = Ed25519PrivateKey.generate()
    public = b64encode(key.public_key().public_bytes_raw()).decode()
    parts["signature.json"] = json.dumps({"key": public, "signature": b64encode(key.sign(parts["manifest.json"])).decode()}).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_younger, "lifetime.json was changed after it was signed"),
        (lambda parts: parts.update({"samples/2026-11.parquet": b"x"}), "samples/2026-11.parquet was changed"),
        (lambda parts: parts.pop("samples/2026-12.parquet"), "samples/2026-12.parquet is missing"),
        (lambda parts: parts.update({"samples/2020-01.parquet": b"x"}), "not in its signed list"),
        (lambda parts: parts.update({"../../etc/cron.d/x": b"x"}), "not in its signed list"),
        (_less, "the signature does not fit"),
        (_signed_by_another, "is signed by the key"),
        (lambda parts: parts.update({"signature.json": b"{}"}), "no signature"),
        (lambda parts: parts.pop("manifest.json"), "manifest.json is missing"),
        (lambda parts: parts.update({"lifetime.json": b"0" * 9_000_000}), "unpacks to more"),
    ],
)
def test_whatever_was_touched_is_refused_with_a_sentence(
    archive: tuple[Path, str], change: Callable[[dict[str, bytes]], Any], words: str, tmp_path: Path
) -> None:
    path, fingerprint = archive
    with Bench(tmp_path / "new").lake() as lake:
        with pytest.raises(ArchiveRefused, match=re.escape(words)):
            passing.take_in(lake, rewritten(path, change), HERE, fingerprint=fingerprint)
        assert passing.inherited(lake, HERE) == []
        assert not lake.places.histories.exists()


def test_every_flipped_byte_of_the_contents_is_found(archive: tuple[Path, str], tmp_path: Path) -> None:
    path, fingerprint = archive
    data = path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 60)):
        changed = tmp_path / "flipped.zip"
        changed.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            manifest, life = passing.verified(changed, fingerprint=fingerprint)
        except ArchiveRefused:
            continue
        assert (manifest["rows"], life.samples) == (210, 210)  # a byte that nothing is made of: a time in the zip's own list


def test_no_archive_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK no zip")
    with pytest.raises(ArchiveRefused, match="not a whole zip"):
        passing.verified(tmp_path / "x.zip", fingerprint="00")


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    signing_key(tmp_path / "lake.pem")
    assert (tmp_path / "lake.pem").stat().st_mode & 0o077 == 0
    (tmp_path / "lake.pem").chmod(0o644)
    with pytest.raises(KeyRefused, match="chmod 600"):
        signing_key(tmp_path / "lake.pem")
    assert lifetime.Life().samples == 0
