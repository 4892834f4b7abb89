"""What people may order of the lake, each on the lake's own thread: catalogue, records, check, sealing, replay, export, import.

the lake's socket or a command that holds the lease --> Orders.table[what](lake, args, tell) --> plain data
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from bms_bridge.lake import LakeRefused, lifetime, passing
from bms_bridge.lake.catalog import catalog, checked
from bms_bridge.lake.derive import Decoder
from bms_bridge.lake.engine import Lake
from bms_bridge.lake.replay import replay
from bms_bridge.lake.rules import Retention
from bms_bridge.lake.schema import DAY_US, date_text
from bms_bridge.lake.server import Order, Tell
from bms_bridge.lake.warm import PART
from bms_bridge.signing import signing_key
from depot.values import PackKey

log = logging.getLogger(__name__)

EXPORT_KEPT_S: Final = 24 * 3600.0
_LIVES_CHECKED = 10_000


@dataclass(frozen=True, slots=True)
class Orders:
    """``decoders(args)``: as the settings have them now, read anew, so that a corrected map counts. ``key_file``: of the key that signs
    histories. ``told_of``: what the registry says of a pack."""

    key: bytes
    decoders: Callable[[Mapping[str, Any]], Mapping[str, Decoder]]
    key_file: Path
    capacity_of: Callable[[PackKey], int | None]
    told_of: Callable[[PackKey], dict[str, Any]]

    @property
    def table(self) -> dict[str, Order]:
        return {
            "catalog": self._catalog,
            "life": self._life,
            "check": self._check,
            "compact": self._compact,
            "replay": self._replay,
            "export": self._export,
            "import": self._import,
        }

    def _catalog(self, lake: Lake, args: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        found = catalog(lake.hot, kept=words_of(lake.retention, cold=lake.places.cold is not None))
        found = msgspec.structs.replace(found, state=str(lake.state), trouble=lake.trouble)
        plain: dict[str, Any] = msgspec.to_builtins(found)
        return plain

    def _life(self, lake: Lake, args: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        pack = _pack(args)
        entry, life = lake.entry_of(pack), lake.life_of(pack)
        if entry is None or life is None:
            return {}
        record = lifetime.shown(life, self.capacity_of(pack))
        more = {"vehicle_id": pack.vehicle_id, "pack_id": pack.pack_id, "pack": entry.pack}
        return {**more, "record": record, "inherited": passing.inherited(lake, pack)}

    def _check(self, lake: Lake, args: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Every file hashed again; with ``lives`` every record folded anew (as long as all rows are still there)."""
        wrong, files = [], 0
        for path, complaint in checked(lake.hot, lake.places):
            files += 1
            if complaint:
                wrong.append(f"{path} {complaint}")
            if files % 100 == 0:
                tell("files", files, 0)
        lives = 0
        if args.get("lives"):
            for place, (pack, life) in enumerate(list(lake.lives.items())[:_LIVES_CHECKED]):
                tell("records", place, len(lake.lives))
                lives += 1
                again = lake.recomputed(pack)
                if again.samples == life.samples and lifetime.encode(again) != lifetime.encode(life):
                    wrong.append(f"the record of {pack} differs from the fold of its rows")
        return {"files": files, "lives": lives, "wrong": wrong}

    def _compact(self, lake: Lake, args: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Seal all that waits, whatever its size, and do what is due."""
        with lake.hot.look() as connection:
            waiting = lake.hot.unsealed(connection)
        sealed = 0
        for place, part in enumerate(waiting):
            tell("partitions", place, len(waiting))
            sealed += lake.seal(part)
        while lake.step():
            tell("more", sealed, 0)
        lake.persist()
        return {"sealed": sealed, "waiting": len(waiting) - sealed}

    def _replay(self, lake: Lake, args: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        hours = float(args.get("hours", 72))
        if not 0 < hours <= 24 * 30:
            raise LakeRefused(f"a replay covers up to 720 h, not {hours:g}")
        found = replay(
            lake,
            key=self.key,
            decoders=self.decoders(args),
            capacity_of=self.capacity_of,
            hours=hours,
            by=str(args.get("by", "")) or "by hand",
            on_progress=lambda done, of: tell("batches", done, of),
        )
        return asdict(found)

    def _export(self, lake: Lake, args: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        pack = _pack(args)
        folder = lake.places.exports
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _tidy(folder)
        entry = lake.entry_of(pack)
        if entry is None:
            return {}
        own = folder / f"pack-{entry.pack}-{date_text(lake.now_us() // DAY_US)}.zip"
        target = Path(args["target"]) if args.get("target") else own
        done = passing.export(lake, pack, target, key=signing_key(self.key_file), facts=self.told_of(pack))
        return {"name": done.path.name, "path": str(done.path), "rows": done.rows, "bytes": done.bytes, "fingerprint": done.fingerprint}

    def _import(self, lake: Lake, args: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        done = passing.take_in(lake, Path(str(args["source"])), _pack(args), fingerprint=str(args["fingerprint"]))
        return asdict(done)


def words_of(retention: Retention, *, cold: bool) -> dict[str, str]:
    """How long each data set is kept."""
    after = "then archived" if cold else "then dropped"
    return {
        "hot": f"{retention.hot_days} d, at most {retention.hot_mb} MB",
        "warm": f"{retention.warm_days} d, {after}",
        "cold": (f"{retention.cold_days} d" if retention.cold_days else "for ever") if cold else "no archive is set",
        "raw": f"{retention.raw_h} h, at most {retention.raw_mb} MB",
    }


def _pack(args: Mapping[str, Any]) -> PackKey:
    return PackKey(str(args.get("vehicle_id", "")), str(args.get("pack_id", "")))


def _tidy(folder: Path) -> None:
    """Archives that were made for a download and are old."""
    for path in [*folder.glob("pack-*.zip"), *folder.glob(f".*{PART}")]:
        if time.time() - path.stat().st_mtime > EXPORT_KEPT_S:
            path.unlink(missing_ok=True)
