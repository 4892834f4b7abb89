"""A cell that loses its voltage while the others keep theirs: an internal short circuit, or a wire that broke. Pure.

Current moves all cells together; so the highest cell is the witness. Also a broken wire is a reason to stop: that cell is watched by
nobody any more.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.verdicts import Cause, Why

SINCE_S: Final = 10.0
OTHERS_KEEP: Final = 0.05
"""Share of its voltage that the highest cell may have lost meanwhile."""


def judge(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """See the module."""
    cells = look.cells
    if cells is None or cells.low_v is None or cells.high_v is None:
        return memory, None
    if memory is not None and memory.sure:
        back = cells.low_v > (1.0 - look.limits.collapse_share / 2) * cells.high_v
        memory = beyond(memory, look.now_s, over=not back, back=back, for_s=0.0, samples=2)
    else:
        lost = _lost(look, cells.low_v, cells.high_v)
        memory = beyond(memory, look.now_s, over=lost > look.limits.collapse_share, back=False, for_s=1.0, samples=2)
    if memory is None or not memory.sure:
        return memory, None
    evidence = {"cell_v": f"{cells.low_v:.3f}", "others_v": f"{cells.high_v:.3f}"}
    evidence |= {"cell": str(cells.low_at)} if cells.low_at is not None else {}
    return memory, Finding(text=f"a cell fell to {cells.low_v:.2f} V", trip=True, evidence=evidence)


def _lost(look: Look, low_v: float, high_v: float) -> float:
    """The largest share that the lowest cell has lost within the last seconds, while the highest kept its voltage."""
    most = 0.0
    for entry in look.past:
        if look.at_s - entry.at_s <= SINCE_S and entry.low_v and entry.high_v and high_v >= (1.0 - OTHERS_KEEP) * entry.high_v:
            most = max(most, 1.0 - low_v / entry.low_v)
    return most


RULE: Final = SampleRule(
    Declared(
        name="voltage_collapse",
        cause=Cause.VOLTAGE_COLLAPSE,
        why=Why.CELLS,
        layer=Layer.L1,
        signals=(Signal.CELLS,),
        every_s=2.0,
        within_s=6.0,
        threshold="a cell loses `collapse_share` of its voltage in 10 s while the highest loses less than 5 %, 2 samples over 1 s",
        derates="as voltage_spread",
        hysteresis="until it has half of that back",
    ),
    judge,
)
