"""Where packs' states of charge were left, kept as numbers: after a restart each is followed on.

Going --written--> bytes (a NumPy archive, no pickle)      bytes --read_back--> Going, or None where another version made them
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any, Final

import numpy as np

from bms_bridge.estimates.charge_under_way import Going
from bms_bridge.soc.bar_delta import CellsMark
from bms_bridge.soc.estimate import Mark
from bms_bridge.soc.filters import STATES, Belief
from bms_bridge.soc.own_curve import BINS, CAPACITY_SD, Seen

VERSION: Final = 1
MOST_BYTES: Final = 4_000_000
_FLAGS = ("rested", "charged", "emptied", "placed")
_TIMES = ("time_s", "held_c", "held_v", "blind_s", "since_voltage_s", "resting_s")


def written(going: Going) -> bytes:
    """As bytes."""
    mark, seen = going.mark, going.seen
    parts: dict[str, Any] = {
        "version": np.array([VERSION]),
        "base": np.frombuffer(going.base.encode(), np.uint8),
        "own": np.array([going.capacity_ah, going.at_s, going.bms, going.bms_s, going.full_s, going.capacity_sd]),
        "state": mark.belief.state,
        "cov": mark.belief.cov,
        "outliers": mark.belief.outliers,
        "more_v2": mark.belief.more_v2,
        "times": np.stack([getattr(mark, name) for name in _TIMES]),
        "flags": np.stack([getattr(mark, name) for name in _FLAGS]),
        "seen": np.stack([seen.off_v, seen.weight]),
        "since": np.array([seen.fulls, seen.begun, seen.counted, seen.hours, seen.offset_c, seen.offset_sd_c]),
        "log": seen.log,
    }
    if going.cells is not None:
        parts |= {"cells": going.cells.state, "cells_cov": going.cells.cov, "cells_s": np.array([going.cells.time_s])}
    kept = io.BytesIO()
    np.savez(kept, **parts)
    return kept.getvalue()


def read_back(kept: bytes) -> Going | None:
    """As it was; None: not readable by this version."""
    if len(kept) > MOST_BYTES:
        return None
    try:
        with np.load(io.BytesIO(kept), allow_pickle=False) as parts:
            if int(parts["version"][0]) != VERSION or parts["state"].shape != (1, STATES) or parts["seen"].shape != (2, 2, BINS):
                return None
            belief = Belief(parts["state"], parts["cov"], parts["outliers"], parts["more_v2"])
            times, flags = dict(zip(_TIMES, parts["times"], strict=True)), dict(zip(_FLAGS, parts["flags"], strict=True))
            fulls, begun, counted, hours, offset_c, offset_sd_c = (float(number) for number in parts["since"])
            (off_v, weight), log = parts["seen"], parts["log"]
            seen = Seen(off_v, weight, offset_c, offset_sd_c, int(fulls), begun, counted, hours, log)
            cells = None
            if "cells" in parts:
                cells = CellsMark(parts["cells"], parts["cells_cov"], float(parts["cells_s"][0]))
            capacity_ah, at_s, bms, bms_s, full_s, *more = (float(number) for number in parts["own"])
            capacity_sd = more[0] if more and 0 < more[0] < 1 else CAPACITY_SD
            sound = np.isfinite(belief.state).all() and np.isfinite(belief.cov).all() and math.isfinite(capacity_ah)
            base = parts["base"].tobytes().decode()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Going(base, capacity_ah, Mark(belief, **times, **flags), cells, seen, at_s, bms, bms_s, full_s, capacity_sd) if sound else None
