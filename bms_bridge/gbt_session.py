"""A charging session of GB/T 27930 as it is overheard, and what it says of the pack.

    waiting → handshake (CHM, BHM) → recognition (CRM, BRM) → configuration (BCP, CML, BRO, CRO) → charging (BCL, BCS, CCS, BSM)
            → ending (BST, CST) → ended (BSD, CSD)          fault (BEM, CEM)                      any of them: silent for LOST_S → lost

Who begins to listen in the middle joins where the two are. CHM, or a CRM that recognises nothing yet, begins another session once
the recognition is over. A sample of the pack is made of what its battery management system says: every second, at once when it
raises something, demands the end, or gets hotter. It speaks of two sensors only, the hottest and the coldest one, to 1 °C.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from bms_bridge import gbt27930 as gbt
from bms_bridge.can.frame import CanFrame, source_of
from bms_bridge.contract import PackSample, Source
from bms_bridge.gbt27930 import GbtMessage
from bms_bridge.j1939_tp import CONTROL, DATA, TpReceiver
from depot.values import PackKey

LOST_S: Final = 5.0
"""Both sides speak every 250 ms at least while a session lives."""

EVERY_S: Final = 1.0
STALE_S: Final = 3.0
UNTRUSTED: Final = "sensor_fault"
"""The alarm for a state that the battery management system does not trust itself."""

_WATCHED: Final = frozenset({"battery temperature too high", "insulation abnormal"})
_MOST_OPEN = 8


class Phase(StrEnum):
    """Where a session is."""

    WAITING = "waiting"
    HANDSHAKE = "handshake"
    RECOGNITION = "recognition"
    CONFIGURATION = "configuration"
    CHARGING = "charging"
    ENDING = "ending"
    ENDED = "ended"
    FAULT = "fault"
    LOST = "lost"


_PHASE_OF: Final = {
    **dict.fromkeys((gbt.CHM, gbt.BHM), Phase.HANDSHAKE),
    **dict.fromkeys((gbt.CRM, gbt.BRM), Phase.RECOGNITION),
    **dict.fromkeys((gbt.BCP, gbt.CTS, gbt.CML, gbt.BRO, gbt.CRO), Phase.CONFIGURATION),
    **dict.fromkeys((gbt.BCL, gbt.BCS, gbt.CCS, gbt.BSM, gbt.BMV, gbt.BMT, gbt.BSP), Phase.CHARGING),
    **dict.fromkeys((gbt.BST, gbt.CST), Phase.ENDING),
    **dict.fromkeys((gbt.BSD, gbt.CSD), Phase.ENDED),
    **dict.fromkeys((gbt.BEM, gbt.CEM), Phase.FAULT),
}
_ORDER: Final = {phase: number for number, phase in enumerate(Phase)}
_OVER: Final = frozenset({Phase.WAITING, Phase.ENDED, Phase.FAULT, Phase.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is known of one session. ``joined``: its beginning was not heard. ``last``: the newest message of each name.
    ``bms_stop``, ``charger_stop``: why each side ends it, in words. ``vehicle``: pseudonym of the VIN."""

    phase: Phase = Phase.WAITING
    begun_s: float = 0.0
    heard_s: float = 0.0
    joined: bool = False
    vehicle: str = ""
    bms_stop: tuple[str, ...] | None = None
    charger_stop: tuple[str, ...] | None = None

    def after(self, message: GbtMessage) -> Session:
        """The session with one message more."""
        phase = _PHASE_OF[message.pgn]
        session = self
        begins = message.pgn == gbt.CHM or (message.pgn == gbt.CRM and message.values.get("recognised") == 0)
        # the end is told again and again: only a beginning, or the life of another session, opens one
        if (begins and self.phase not in (Phase.HANDSHAKE, Phase.RECOGNITION)) or (self.phase in (Phase.WAITING, Phase.LOST)):
            session = Session(begun_s=message.at_s, joined=not begins)
        elif self.phase in (Phase.ENDED, Phase.FAULT):
            return replace(self, heard_s=message.at_s)
        if _ORDER[phase] < _ORDER[session.phase]:
            phase = session.phase
        return replace(
            session,
            phase=phase,
            heard_s=message.at_s,
            vehicle=message.vehicle or session.vehicle,
            bms_stop=message.reasons if message.pgn == gbt.BST else session.bms_stop,
            charger_stop=message.reasons if message.pgn == gbt.CST else session.charger_stop,
        )


class GbtListener:
    """One charging line. ``session``: the one that lives, or the last one. ``counts``: messages by name; ``foreign``: frames of others
    on the same bus. Times are those of the frames, which must not go back."""

    def __init__(self, pseudonym: Callable[[str], str]) -> None:
        self.session = Session()
        self.counts: Counter[str] = Counter()
        self.foreign = 0
        self.transport = TpReceiver(most_open=_MOST_OPEN)
        self.last: dict[str, GbtMessage] = {}
        self._pseudonym = pseudonym
        self._urgent = self._news = False
        self._taken_s: float | None = None
        self._hottest_c: float | None = None
        self._told: frozenset[str] = frozenset()
        self._raised: set[str] = set()

    def hear(self, frame: CanFrame) -> GbtMessage | None:
        """The message that a frame is, or makes whole; None: neither."""
        group = gbt.group_of(frame)
        if group is None:
            self.foreign += 1
            return None
        if group in (CONTROL, DATA):
            whole = self.transport.hear(frame)
            if whole is None:
                return None
            message = self._decoded(whole.pgn, whole.data, whole.at_s, whole.source, whole.estimated)
        else:
            message = self._decoded(group, frame.data, frame.at_s, source_of(frame.can_id), frame.estimated)
        if message is None:
            self.foreign += 1
            return None
        self._take_in(message)
        return message

    def look(self, now_s: float) -> None:
        """Time went on: a session of which nothing is heard any more is lost."""
        if self.session.phase not in _OVER and now_s - self.session.heard_s > LOST_S:
            self.session = replace(self.session, phase=Phase.LOST)

    def due(self, now_s: float) -> bool:
        """Whether a sample should be taken now."""
        return self._news and (self._urgent or self._taken_s is None or now_s - self._taken_s >= EVERY_S)

    def take(self, pack: PackKey, now_s: float, *, received_at: datetime) -> PackSample:
        """What the battery's side says of the pack now; what it has not said for :data:`STALE_S` is left out."""

        def told(name: str, value: str) -> float | None:
            message = self.last.get(name)
            return message.values.get(value) if message is not None and now_s - message.at_s <= STALE_S else None

        hottest_c, coldest_c = told("BSM", "hottest_c"), told("BSM", "coldest_c")
        forbidden = told("BSM", "allowed") == 0
        standing = self._standing(now_s)
        sample = PackSample(
            pack=pack,
            source=Source.GBT,
            received_at=received_at,
            reported_at=None,
            temperatures_c=() if hottest_c is None and coldest_c is None else (hottest_c, coldest_c),
            soc=told("BCS", "soc"),
            current_a=told("BCS", "current_a"),
            voltage_v=told("BCS", "voltage_v"),
            cell_max_v=told("BCS", "cell_max_v"),
            limit_a=0.0 if forbidden else told("BCL", "current_a"),
            limit_v=told("BCL", "voltage_v"),
            stop=self.session.bms_stop is not None,
            alarms=tuple(sorted(standing | self._raised)),
        )
        self._hottest_c, self._told, self._taken_s = hottest_c, frozenset(standing), now_s
        self._news = self._urgent = False
        self._raised.clear()
        return sample

    def _decoded(self, pgn: int, data: bytes, at_s: float, source: int, estimated: bool) -> GbtMessage | None:
        return gbt.decoded(pgn, data, at_s, pseudonym=self._pseudonym, source=source, estimated=estimated)

    def _take_in(self, message: GbtMessage) -> None:
        before = self.session
        self.session = before.after(message)
        if self.session.begun_s != before.begun_s or self.session.joined != before.joined:
            self.last.clear()
            self._told, self._hottest_c = frozenset(), None
        self.counts[message.name] += 1
        self.last[message.name] = message
        if not message.from_bms or self.session.phase not in (Phase.CHARGING, Phase.ENDING, Phase.ENDED):
            return
        self._news = True
        alarms = _alarms_of(message)
        self._raised |= alarms
        hottest_c = message.values.get("hottest_c") if message.pgn == gbt.BSM else None
        hotter = hottest_c is not None and self._hottest_c is not None and hottest_c > self._hottest_c
        ends = message.pgn == gbt.BST and before.bms_stop is None
        self._urgent = self._urgent or hotter or ends or bool(alarms - self._told)

    def _standing(self, now_s: float) -> set[str]:
        """Alarms of the newest BSM and BST."""
        fresh = (self.last[name] for name in ("BSM", "BST") if name in self.last and now_s - self.last[name].at_s <= STALE_S)
        return {alarm for message in fresh for alarm in _alarms_of(message)}


def _alarms_of(message: GbtMessage) -> set[str]:
    untrusted = {UNTRUSTED} if _WATCHED & set(message.unreliable) else set()
    return set(message.alarms) | untrusted
