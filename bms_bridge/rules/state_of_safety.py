"""State of Safety as a rule over all packs: derate below 0.8, trip below 0.5 or ten minutes before a runaway.

    every sample --heard()--> EctWatch          once a second --judge()--> findings of the packs that are hot, or were

It comes on top of the rules for voltage, dT/dt, insulation and gas and takes nothing from them: internal shorts were seen to run away from
cells of 80 °C, of which it says nothing. A pack that has cooled below the gate no longer trips by it, so that a person can reset it;
what the heat has used up leaves it no power until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from bms_bridge.charging import PackFacts
from bms_bridge.chemistry import Thresholds
from bms_bridge.contract import Source
from bms_bridge.ect.score import DERATE_BELOW, GATE_C, TRIP_BELOW
from bms_bridge.ect.watch import DERATE_WITHIN_S, INNER_OFFSET_K, TRIP_WITHIN_S, Alarm, EctWatch, Score
from bms_bridge.pack_propagation import Advice
from bms_bridge.rules.frame import RATE_SLACK, Declared, Finding, Layer, Signal
from bms_bridge.rules.rise import explained_c_per_s
from bms_bridge.validation import Checked
from bms_bridge.verdicts import Cause, Why
from depot.values import PackKey

SURE_AFTER_S: Final = 3.0
SILENT_SURE_AFTER_S: Final = 15.0
"""A single wrong value sends nobody out: what trips is heard twice over 3 s, or followed by silence for 15 s."""

DECLARED: Final = Declared(
    name="state_of_safety",
    cause=Cause.STATE_OF_SAFETY,
    why=Why.STATE_OF_SAFETY,
    layer=Layer.L2,
    signals=(Signal.TEMPERATURES,),
    every_s=30.0,
    within_s=32.0,
    threshold=f"State of Safety below {TRIP_BELOW:g}, or runaway within {TRIP_WITHIN_S / 60:.0f} min at the earliest; "
    "heard twice over 3 s, or then silent for 15 s",
    derates=f"0 below {DERATE_BELOW:g}, or runaway within {DERATE_WITHIN_S / 3600:.0f} h at the earliest",
    hysteresis=f"until it is below {GATE_C:g} °C; what was used up counts until the reset",
)


SPREADS: Final[Mapping[Advice, str]] = {
    Advice.EVACUATE: "lost within 90 s: evacuate now",
    Advice.CLEAR: "it spreads in the pack: clear the bays",
    Advice.MAINTENANCE: "at one sensor only as yet",
}
"""What the rule of the 90 seconds says, for people."""


class StateOfSafety:
    """The rule. ``inner_offset_k``: how much hotter a cell may be inside than its sensor says."""

    declared = DECLARED

    def __init__(self, inner_offset_k: float = INNER_OFFSET_K) -> None:
        self._watch = EctWatch(inner_offset_k)
        self._heard_s: dict[PackKey, float] = {}
        self._teller: dict[PackKey, tuple[Source, float]] = {}
        self._found: frozenset[PackKey] = frozenset()
        self._since: dict[PackKey, float] = {}
        self._again: set[PackKey] = set()

    def heard(self, sample: Checked, now_s: float, limits: Thresholds, facts: PackFacts) -> None:
        """A sample that is not late. A charger's word counts only while the pack's own unit says nothing."""
        if not sample.temperatures_c:
            return
        pack, source = sample.pack, sample.source
        self._heard_s[pack] = now_s
        teller = self._teller.get(pack)
        if teller is not None and teller[0] is not source and source is Source.OCPP and now_s - teller[1] <= DECLARED.every_s:
            return
        self._teller[pack] = source, now_s
        if pack in self._since:
            self._again.add(pack)
        explained = explained_c_per_s(facts, sample.current_a, sample.voltage_v)
        self._watch.hear(pack, facts.chemistry, sample.temperatures_c, now_s, uncertainty_k=sample.uncertainty_c, joule_k_per_s=explained)

    def judge(self, now_s: float) -> Iterable[tuple[PackKey, Finding | None]]:
        """Each pack of which something is found, or no longer is."""
        scores = self._watch.tick(now_s)
        if not scores and not self._found:
            return ()
        alarmed = {score.pack for score in scores if score.alarm is Alarm.TRIP and score.node_c >= GATE_C}
        for pack in self._since.keys() - alarmed:
            del self._since[pack]
            self._again.discard(pack)
        found = [(score.pack, finding) for score in scores if (finding := finding_of(score, sure=self._sure(score, now_s))) is not None]
        before, self._found = self._found, frozenset(pack for pack, _ in found)
        return [*found, *((pack, None) for pack in before - self._found)]

    def _sure(self, score: Score, now_s: float) -> bool:
        """Whether an alarm that trips is more than one wrong value: another sample says so too, or the pack has fallen silent over it."""
        if score.alarm is not Alarm.TRIP or score.node_c < GATE_C:
            return False
        since_s = self._since.setdefault(score.pack, now_s)
        return now_s - since_s >= (SURE_AFTER_S if score.pack in self._again else SILENT_SURE_AFTER_S)

    def lacks(self, pack: PackKey, now_s: float) -> str:
        """Why this pack is not monitored; empty: it is."""
        at_s = self._heard_s.get(pack)
        if at_s is None:
            return "no temperatures heard"
        quiet_s = now_s - at_s
        return f"silent for {quiet_s:.0f} s" if quiet_s > DECLARED.every_s * RATE_SLACK else ""

    def score_of(self, pack: PackKey) -> Score | None:
        """The newest score; None: the pack was never above the gate."""
        return self._watch.score_of(pack)

    def forget(self, pack: PackKey) -> None:
        """A person has declared the pack safe."""
        self._watch.forget(pack)


def finding_of(score: Score, *, sure: bool) -> Finding | None:
    """What a score leaves of the pack. ``sure``: an alarm that trips is confirmed; else it only derates."""
    text = words_of(score)
    if score.node_c < GATE_C:
        return Finding(text=f"{text}; it was too hot, have it inspected", share=0.0) if score.state_of_safety < DERATE_BELOW else None
    if score.alarm is None:
        return None
    if score.alarm is Alarm.DERATE or not sure:
        return Finding(text=text, share=0.0)
    evidence = {"state_of_safety": f"{score.state_of_safety:.2f}", "stage": str(score.stage)}
    if score.runaway_in_s[0] is not None:
        evidence["runaway_in"] = span_of(score)
    if score.spreads is not None:
        evidence["spread"] = score.spreads.value
    return Finding(text=text, trip=True, evidence=evidence)


def words_of(score: Score) -> str:
    """A score for people: ``State of Safety 0.71, stage 1; runaway in 3 to 11 h if it loses no heat``."""
    words = f"State of Safety {score.state_of_safety:.2f}" + (f", stage {score.stage}" if score.stage else "")
    words += f", {SPREADS[score.spreads]}" if score.spreads is not None else ""
    return words + (f"; runaway in {span_of(score)} if it loses no heat" if score.runaway_in_s[0] is not None else "")


def span_of(score: Score) -> str:
    """The interval of time to runaway: ``3 to 40 min``, ``5 h or more``."""
    early, late = score.runaway_in_s
    if early is None:
        return "not foreseen"
    unit, seconds = ("h", 3600.0) if early >= 2 * 3600.0 else ("min", 60.0)
    return f"{early / seconds:.0f} {unit} or more" if late is None else f"{early / seconds:.0f} to {late / seconds:.0f} {unit}"
