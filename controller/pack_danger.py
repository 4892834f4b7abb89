"""What State of Safety and the model of a pack's propagation say of one battery, for its page. Pure reading.

Guard.view(pack).score, state of charge --danger_of()--> PackDanger        the model runs in a thread, once per quarter of charge
"""

from __future__ import annotations

import math
from functools import lru_cache

from bms_bridge.guard import InThread, PackView
from bms_bridge.pack_propagation import Spread, spread
from bms_bridge.rules.state_of_safety import words_of
from controller.pack_view import PackDanger


async def danger_of(view: PackView, in_thread: InThread) -> PackDanger | None:
    """None: the battery was never above 70 °C."""
    score = view.score
    if score is None:
        return None
    quarters = 4 if view.soc is None else max(1, min(4, math.ceil(view.soc * 4)))
    known: list[Spread] = []
    await in_thread(lambda: known.append(_foreseen(quarters)))
    foreseen = known[0]
    second = foreseen.modules_s[1]
    return PackDanger(
        state_of_safety=score.state_of_safety,
        stage=score.stage,
        node_c=score.node_c,
        runaway_low_s=score.runaway_in_s[0],
        runaway_high_s=score.runaway_in_s[1],
        text=words_of(score),
        seen=score.spreads.value if score.spreads is not None else None,
        foreseen=foreseen.advice.value,
        second_module_low_s=second[0],
        second_module_high_s=second[1],
    )


@lru_cache(maxsize=4)
def _foreseen(quarters: int) -> Spread:
    """Of a pack of which nothing is known, so many quarters full."""
    return spread(None, quarters / 4.0)
