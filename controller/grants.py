"""What each connector may draw at most, given everything that was ever sent to it: the bound of invariant 1.

    told ──> in flight ──accepted──> confirmed ──settled (time and meter)──> released
                 └─timeout/unparseable──> still in flight until it expires (it may have been carried out)

A bound never falls because we wish it: only when the charger confirmed a lower level **and** had time to settle
**and** its meter agrees, or when a profile expired by itself. Times are depot seconds (Unix epoch, float).

Levels below 0 are discharge. They add nothing to the bound of what may be drawn, and never lower it; what may be given is a
bound of its own by the same rules (:meth:`Grant.gives_bound_w`, decision 14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from depot.events import TrustLevel

EXPIRY_SKEW_S = 10.0
"""A profile is taken to live this much longer than sent: charger clocks drift between two measurements of skew."""

FIRST_LOOK_S = 1.0
"""So long after a level was told its meter is asked for the first time."""

READING_GRACE_S = 12.0
"""A station that gives no meter values is believed to have settled this long after its settle time."""

FOLLOWS_SHARE = 0.85
"""Who overdrew and goes down to this share of it (or up by as much) when told to draws a multiple of its level; else, what it
likes."""

READING_AFTER_S = 1.0
"""A meter value that was asked for at the end of the settle time may take this long."""

OVERDUE_W = 150
"""So much more than it was told (or 2 %) is nothing that others have to make room for."""

STEADY_AFTER_S = 180.0
"""After so long into a session, and with a meter value no older than this, its vehicle's appetite is known …"""

PEAK_HOLD_S = 600.0
"""… by the highest meter value of about this long."""

IDLE_W = 500
"""What a connector may draw with a level of 0 and still count as obeying (electronics, contactor, cooling)."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A level that was sent and whose effect is not known yet. ``unknown_until``: when it stops counting."""

    number: int
    level_w: int
    until_s: float


@dataclass(frozen=True, slots=True)
class Settling:
    """An older, higher level that may still flow until ``not_before_s`` and until the meter agrees."""

    level_w: int
    told_at_s: float
    not_before_s: float


@dataclass(slots=True)
class Grant:
    """The running account of one connector. Mutated only by its own methods; every method takes ``now_s``.

    ``default_w`` None: no default is confirmed, so after the live profile it may draw its rating (*uncovered*).
    ``autonomous``: it could start a session by itself. ``commissioned``: it has booted here once; before that
    whatever it draws belongs to the registered background. ``doubted_w``: it overdrew with this power, and has not
    shown yet that it follows levels at all. ``by_hand``: a profile that a person put there may stand above ours.
    ``gives_w``: the most that it can give to the grid; 0: it only charges.
    """

    rated_w: int
    settle_s: float = 3.0
    default_w: int | None = None
    autonomous: bool = True
    commissioned: bool = False
    in_session: bool = False
    trust: TrustLevel = TrustLevel.UNPROVEN
    factor: float = 1.0
    told_w: int = 0
    told_at_s: float = -math.inf
    confirmed_w: int | None = None
    confirmed_until_s: float = -math.inf
    flights: list[Flight] = field(default_factory=list)
    settling: list[Settling] = field(default_factory=list)
    measured_w: int | None = None
    measured_at_s: float = -math.inf
    gives_readings: bool = False
    doubted_w: int | None = None
    by_hand: bool = False
    gives_w: int = 0
    peak_w: int | None = None
    peak_at_s: float = -math.inf
    session_since_s: float = -math.inf
    raised_at_s: float = -math.inf
    _number: int = 0

    # -- what is sent and answered ------------------------------------------------------------------------------

    def send(self, level_w: int, *, until_s: float, now_s: float) -> int:
        """A level leaves for the charger; returns the flight's number for the answer."""
        self._number += 1
        self.flights.append(Flight(self._number, level_w, until_s + EXPIRY_SKEW_S))
        if level_w != self.told_w:
            gives_w = min(0, self._overdrawn_w(now_s))
            if gives_w < min(self._given_w(now_s), level_w):  # the same for what it gives
                self.settling.append(Settling(gives_w, now_s, now_s + self.settle_s))
            flows_w = self._level_of(self._overdrawn_w(now_s))
            if flows_w > max(self._claimed_w(now_s), level_w):  # its meter shows more than it was told: that goes on until it shows less
                self.settling.append(Settling(flows_w, now_s, now_s + self.settle_s))
            self.told_at_s = now_s
            if level_w > self.told_w:
                self.raised_at_s = now_s
        self.told_w = level_w
        return self._number

    def _level_of(self, drawn_w: int) -> int:
        """The highest level whose budget is no more than ``drawn_w``."""
        level_w = math.floor(drawn_w / self.factor)
        return level_w if math.ceil(level_w * self.factor) <= drawn_w else level_w - 1

    def accepted(self, number: int, *, now_s: float) -> None:
        """The charger confirmed this flight: it and what was sent before it give way, once settled."""
        flight = next((f for f in self.flights if f.number == number), None)
        if flight is None:
            return
        before, gave_w = self._claimed_w(now_s), self._given_w(now_s)
        if self.confirmed_w is None or self.confirmed_until_s <= now_s:
            before = max(before, self._resting_w())  # it had fallen to its default, and comes down from there
        self.flights = [f for f in self.flights if f.number > number]
        self.confirmed_w = flight.level_w
        self.confirmed_until_s = flight.until_s
        if before > flight.level_w:
            self.settling.append(Settling(before, now_s, now_s + self.settle_s))
        if gave_w < min(0, flight.level_w):
            self.settling.append(Settling(gave_w, now_s, now_s + self.settle_s))

    def refused(self, number: int) -> None:
        """The charger certainly did not carry this flight out. A refused increase leaves it at the level before; a
        refused decrease stays told, so that it is told again."""
        flight = next((f for f in self.flights if f.number == number), None)
        if flight is None:
            return
        self.flights = [f for f in self.flights if f.number != number]
        if number == self._number:
            levels = [f.level_w for f in self.flights]
            holds_w = max([self.confirmed_w or 0, (self.default_w or 0) if self.in_session else 0, *levels])
            self.told_w = min(self.told_w, holds_w)
            if self.told_w < 0:  # a discharge that was refused has not begun
                self.told_w = max(self.told_w, min([self.confirmed_w or 0, 0, *levels]))

    def default_installed(self, level_w: int | None, *, now_s: float) -> None:
        """A default was confirmed (None: the station can't hold one). A lower one counts once settled."""
        before = self._resting_w()
        self.default_w = level_w
        after = self._resting_w()
        if before > after and self.in_session:
            self.settling.append(Settling(before, now_s, now_s + self.settle_s))

    def forgotten(self, *, now_s: float) -> None:
        """The station restarted: no profile can be relied on, live or default, until installed again."""
        self.default_w = None
        self.confirmed_w = None
        self.confirmed_until_s = -math.inf
        self.told_at_s = now_s

    # -- sessions and meter -------------------------------------------------------------------------------------

    def session_started(self, *, now_s: float = -math.inf) -> None:
        """A transaction runs. What nobody told a level draws its default, so that is what it was told."""
        self.in_session = True
        self.session_since_s = self.told_at_s = now_s
        self.peak_w = None
        if not self.told_w and not self.flights:
            self.told_w = self.default_w or 0

    def session_ended(self, *, now_s: float) -> None:
        """The transaction is over: its profiles are gone with it; the last level may flow while it settles."""
        before = (self.bound_w(now_s), -self.gives_bound_w(now_s))
        self.in_session = False
        self.flights.clear()
        self.settling = [Settling(level_w, now_s, now_s + min(self.settle_s, 2.0)) for level_w in before if level_w]
        self.confirmed_w = None
        self.confirmed_until_s = -math.inf
        self.told_w = 0
        self.measured_w = None

    def measured(self, power_w: int, *, at_s: float) -> None:
        """A fresh meter value. It ends the settling of levels whose time is over."""
        self.gives_readings = True
        self.measured_w = power_w
        self.measured_at_s = at_s
        if self.peak_w is None or power_w >= self.peak_w or at_s - self.peak_at_s > PEAK_HOLD_S:
            self.peak_w, self.peak_at_s = power_w, at_s
        self._release(at_s)
        if self.doubted_w is not None and power_w > IDLE_W and not self.settling and not self.unseen():
            if self.doubted_w * FOLLOWS_SHARE < power_w < self.doubted_w / FOLLOWS_SHARE:
                return
            expected_w = self.expected_w()
            if expected_w and expected_w > 0 and power_w <= expected_w * self.factor + IDLE_W:
                self.doubted_w = None

    def judged(self, trust: TrustLevel, factor: float) -> None:
        """The verdict on the newest meter value."""
        self.trust, self.factor = trust, factor
        self.doubted_w = self.measured_w if trust is TrustLevel.OVERDRAWS and (self.measured_w or 0) > 0 else None

    @property
    def all_or_nothing(self) -> bool:
        """Whether only start and stop can be relied on: it follows no level, a profile that a person put there may stand above
        ours, or a new session begins before it has shown that it follows one (it might draw 1.1 × its level because its
        vehicle takes no more)."""
        return self.by_hand or self.trust is TrustLevel.DEFIANT or (self.doubted_w is not None and self.measured_w is None)

    def expected_w(self) -> int | None:
        """The most that an obedient charger draws once settled; None while it is not known what it was told."""
        if self.changing or not self.in_session:
            return None
        if self.confirmed_w is None or self.confirmed_until_s <= self.measured_at_s:
            return None if self.flights else self.default_w  # a renewal that nobody answered may have been carried out
        return self.confirmed_w

    @property
    def changing(self) -> bool:
        """Whether another level than the confirmed one is on its way; a renewal is not."""
        return any(f.level_w != self.confirmed_w for f in self.flights)

    def overdue(self, now_s: float, *, bound_w: int, patience_s: float) -> bool:
        """Whether it may still draw more than it was told (its bound is ``bound_w``) although an obedient charger would be
        down by now: no answer for ``patience_s``, a refusal, or no meter value that agrees ``patience_s`` after the
        settle time."""
        told_w = math.ceil(max(self._resting_w(), self.told_w) * self.factor)
        if bound_w <= told_w + max(OVERDUE_W, told_w // 50):
            return False
        since_s = self.told_at_s
        if not self.flights and self.confirmed_w == self.told_w:
            since_s = max([since_s, *(s.not_before_s + READING_AFTER_S for s in self.settling)])
        return now_s >= since_s + patience_s

    def look_due_s(self, now_s: float) -> float | None:
        """Since when a meter value is wanted that would end a settling or prove what it draws; None: there is one."""
        if not self.settling and (self.changing or not self.unseen()):
            return None
        looks_s = [s.not_before_s for s in self.settling]
        if self.in_session and not self.changing:  # an overdraw shows early, obedience late
            looks_s += [self.told_at_s + FIRST_LOOK_S, self.told_at_s + self.settle_s]
        due_s = [look_s for look_s in looks_s if now_s >= look_s > self.measured_at_s]
        return max(due_s) if due_s else None

    def unseen(self) -> bool:
        """Whether no meter value has shown yet what it makes of the level it was told."""
        return self.in_session and self.measured_at_s < self.told_at_s + self.settle_s

    # -- the bound ----------------------------------------------------------------------------------------------

    def bound_w(self, now_s: float) -> int:
        """The most that the connector may draw from now until all that was sent has expired, W."""
        self._release(now_s)
        bound = self.permitted_w(now_s)
        if self.factor > 1.0:
            bound = math.ceil(bound * self.factor)
        if self.all_or_nothing and (self.in_session or self.flights or (self.autonomous and self.commissioned)):
            drawn_w = self._drawn_steadily_w(now_s)
            return drawn_w if drawn_w is not None else max(bound, self.rated_w, self._overdrawn_w(now_s))
        return max(bound, self._overdrawn_w(now_s))

    def gives_bound_w(self, now_s: float) -> int:
        """The most that the connector may give to the grid from now until all that was sent has expired, W, never negative: by
        what is confirmed, in flight or settling, and by its meter."""
        if not self.gives_w:
            return 0
        self._release(now_s)
        level_w = min([self._given_w(now_s), *(settling.level_w for settling in self.settling), self._overdrawn_w(now_s)])
        return max(0, -level_w)

    def permits_now_w(self, now_s: float) -> int:
        """The most that it may draw at this very moment, W: its default only where no live profile stands above it."""
        if not self.in_session or self.all_or_nothing or self.confirmed_w is None or now_s >= self.confirmed_until_s - 2 * EXPIRY_SKEW_S:
            return self.bound_w(now_s) if self.in_session else 0
        self._release(now_s)
        level_w = max([self._claimed_w(now_s), *(settling.level_w for settling in self.settling)])
        return max(math.ceil(level_w * self.factor), self._overdrawn_w(now_s))

    def permitted_w(self, now_s: float) -> int:
        """The highest level that anything which was sent may still allow; an obedient charger draws no more."""
        level_w = max(self._resting_w(), self._claimed_w(now_s))
        for settling in self.settling:
            if settling.level_w > level_w:
                level_w = settling.level_w
        return level_w

    def _drawn_steadily_w(self, now_s: float) -> int | None:
        """What a charger that follows no level is budgeted at once its vehicle is known: the highest meter value of the
        last minutes with a margin. None: too early to say since it began or was told more, so its rating counts."""
        if self.trust is not TrustLevel.DEFIANT or not self.in_session:
            return None
        known_s = max(self.session_since_s, self.raised_at_s) + STEADY_AFTER_S
        if self.peak_w is None or now_s < known_s or now_s - self.measured_at_s > STEADY_AFTER_S:
            return None
        return max(self.peak_w, min(self.rated_w, round(self.peak_w * 1.05) + 2000))

    def _overdrawn_w(self, now_s: float) -> int:
        """The newest meter value, where it belongs to the level that holds; an obedient charger's is no more than its bound."""
        if not self.in_session or self.measured_w is None or self.measured_at_s < self.told_at_s:
            return 0
        return 0 if self.measured_at_s < self.confirmed_until_s <= now_s else self.measured_w

    @property
    def idle(self) -> bool:
        """Whether nothing can flow and nothing is under way: its bound is 0 W without looking."""
        return not (self.in_session or self.flights or self.settling or (self.autonomous and self.commissioned))

    def resting_w(self) -> int:
        """What remains counted when the level is 0: the default it falls to, or what it could start by itself."""
        return self._resting_w()

    def _resting_w(self) -> int:
        if not self.commissioned:
            return 0
        if not (self.in_session or self.autonomous or self.flights):
            return 0
        return self.rated_w if self.default_w is None else self.default_w

    def _claimed_w(self, now_s: float) -> int:
        claimed = 0
        if self.confirmed_w is not None and now_s < self.confirmed_until_s:
            claimed = self.confirmed_w
        for flight in self.flights:
            if flight.level_w > claimed and now_s < flight.until_s:
                claimed = flight.level_w
        return claimed

    def _given_w(self, now_s: float) -> int:
        """The lowest level that a profile which lives, or may live, has: 0, or below it what may be given."""
        given_w = 0
        if self.confirmed_w is not None and now_s < self.confirmed_until_s:
            given_w = min(given_w, self.confirmed_w)
        for flight in self.flights:
            if now_s < flight.until_s:
                given_w = min(given_w, flight.level_w)
        return given_w

    def _release(self, now_s: float) -> None:
        if self.flights and any(now_s >= f.until_s for f in self.flights):
            self.flights = [f for f in self.flights if now_s < f.until_s]
        if not self.settling:
            return
        self.settling = [s for s in self.settling if not self._settled(s, now_s)]

    def _settled(self, settling: Settling, now_s: float) -> bool:
        if now_s < settling.not_before_s:
            return False
        if not self.in_session:
            return True
        if not self.gives_readings:
            return now_s >= settling.not_before_s + READING_GRACE_S
        # what the meter shows is itself part of the bound
        return self.measured_w is not None and self.measured_at_s >= settling.not_before_s
