"""Tariff files of one's own: TOML, JSON (a rate of the Utility Rate Database too) or a table (CSV), told apart by how the name ends."""

from __future__ import annotations

from pathlib import Path

from grid.tariff.errors import InvalidTariff, UnknownTariff
from grid.tariff.reading import LONGEST_FILE, read_json, read_toml
from grid.tariff.sheet import tree_of_csv
from grid.tariff.urdb import is_urdb, tree_of_urdb

__all__ = ["FILE_KINDS", "tree_of_file", "tree_of_text"]

FILE_KINDS = (".toml", ".json", ".csv")


def tree_of_file(path: Path) -> object:
    """The tree of a file, not yet checked. Raises :class:`UnknownTariff` for one that can't be read, :class:`InvalidTariff`."""
    try:
        with path.open("rb") as file:
            data = file.read(4 * LONGEST_FILE + 1)
    except OSError as error:
        raise UnknownTariff(f"{path}: {error.strerror}") from None
    try:
        return tree_of_text(data.decode("utf-8"), path.suffix)
    except UnicodeDecodeError:
        raise InvalidTariff(f"{path}: not a text in UTF-8") from None


def tree_of_text(text: str, kind: str) -> object:
    """The tree of a text of that kind (:data:`FILE_KINDS`). Raises :class:`InvalidTariff`."""
    if kind == ".json":
        tree = read_json(text)
        return tree_of_urdb(text) if is_urdb(tree) else tree
    if kind == ".csv":
        return tree_of_csv(text)
    return read_toml(text)
