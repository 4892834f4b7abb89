"""What was learned, in a file: arrays of numbers and a description, with a checksum. Nothing in it is ever run.

    {"words": JSON, "arrays": {name: numbers}} --write_model--> one .npz (zip of .npy) --read_model--> the same, or ModelRefused

Pickles (joblib, scikit-learn's usual way) are programs: whoever loads a foreign one runs it. Here only numbers are read
(``numpy.load(allow_pickle=False)``), their sizes are looked at before they are unpacked, and a SHA-256 over names, shapes, types and
bytes tells a damaged file. The checksum is no signature: who may write the file may write a checksum, too.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bms_bridge import in_one_step
from bms_bridge.health import ModelRefused

SCHEMA = "health-model/1"
MOST_BYTES = 300_000_000
KINDS_OF_NUMBERS = "biuf"
DESCRIPTION = "description"

Array = NDArray[Any]

_NOT_OURS = (
    OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, ArithmeticError, MemoryError, RuntimeError, SyntaxError,
    TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What unpacking a file can raise that somebody else made: zip, .npy and JSON each have errors of their own (encrypted, an array of
terabytes, nested for ever)."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """``purpose``: ``soh`` or ``grade``; ``words``: plain JSON; ``arrays``: by name."""

    purpose: str
    words: dict[str, Any]
    arrays: dict[str, Array]


def write_model(path: Path, model: ModelFile) -> str:
    """Write the file in one step (the old one stays until the new one is whole). Returns its checksum (hex)."""
    for name, array in model.arrays.items():
        assert array.dtype.kind in KINDS_OF_NUMBERS, name
    told = checksum(model)
    text = json.dumps(
        {"schema": SCHEMA, "purpose": model.purpose, "sha256": told, "words": model.words}, ensure_ascii=False, sort_keys=True
    )
    out = io.BytesIO()
    np.savez_compressed(out, **{DESCRIPTION: np.frombuffer(text.encode(), dtype=np.uint8)}, **model.arrays)  # type: ignore[arg-type]
    try:
        in_one_step.write(path, out.getvalue())
    except OSError as error:
        raise ModelRefused(f"cannot write {path}: {in_one_step.why(error)}") from error
    return told


def read_model(path: Path, purpose: str) -> ModelFile:
    """Read and check a model. ModelRefused: not there, not one of ours, for another purpose, damaged, or far too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > MOST_BYTES:
            raise ModelRefused(f"{path}: would be {size / 1e6:,.0f} MB unpacked; at most {MOST_BYTES / 1e6:,.0f} MB are read")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        description = json.loads(arrays.pop(DESCRIPTION).tobytes().decode())
        schema, found, told, words = (description[name] for name in ("schema", "purpose", "sha256", "words"))
    except FileNotFoundError as error:
        raise ModelRefused(f"{path} is not there; make one with ./chargeyard battery {purpose}-train") from error
    except _NOT_OURS as error:
        raise ModelRefused(f"{path} is no model file of battery health, or it is damaged") from error
    if schema != SCHEMA:
        raise ModelRefused(f"{path} is written as {schema!s:.40}; this version reads {SCHEMA}: train it anew")
    if found != purpose:
        raise ModelRefused(f"{path} is a model for {found!s:.40}, not for {purpose}")
    model = ModelFile(purpose, words, arrays) if isinstance(words, dict) else None
    if model is None or any(array.dtype.kind not in KINDS_OF_NUMBERS for array in arrays.values()) or checksum(model) != told:
        raise ModelRefused(f"{path} is damaged: its checksum is another one; copy it again or train it anew")
    return model


def checksum(model: ModelFile) -> str:
    """SHA-256 (hex) over purpose, words and all arrays with their names, shapes and types."""
    digest = hashlib.sha256(json.dumps([model.purpose, model.words], sort_keys=True, ensure_ascii=False).encode())
    for name in sorted(model.arrays):
        array = np.ascontiguousarray(model.arrays[name])
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
