"""All packs of a depot: samples in, verdicts out, trips latched, resets by people.

    MQTT link, charger readings ──heard()──▶ check ──▶ rules, state ──▶ on_verdict()       at once, on the same call
    the core, once a second ──────tick()───▶                              └─▶ latch file     after it, by run()
    detectors of the depot ──trip(), press()▶

Everything but :meth:`Guard.run` and :meth:`Guard.reset` returns at once, waits for no disk, database or network, and must be
called on one event loop. Verdicts come out in the order in which they were found. A trip acts first and is written after
(architecture, invariant 4); a reset is written first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from msgspec import structs

from bms_bridge import InvalidThreshold, ResetRefused, thermal
from bms_bridge.charging import NOTHING_KNOWN, Charging, PackFacts
from bms_bridge.chemistry import TABLE, Chemistry, Thresholds, inside
from bms_bridge.contract import OWN_UNIT, PackSample, Rejection, RejectionLog, RejectReason, Source
from bms_bridge.ect.watch import INNER_OFFSET_K, Score
from bms_bridge.firmware import Profiles
from bms_bridge.issues import IssueBook
from bms_bridge.latches import LatchFile
from bms_bridge.pseudonym import Pseudonyms
from bms_bridge.rules import RULES, TIMED
from bms_bridge.rules.frame import Declared, Finding, FleetRule, Rate, Rates, cells_of, judged_all, tell, why_not
from bms_bridge.rules.power import now_of
from bms_bridge.rules.state_of_safety import StateOfSafety
from bms_bridge.sop import Learned, Power, powers, resistance, typical_ohm
from bms_bridge.thermal import PackState
from bms_bridge.validation import Around, Checked, Memory, check
from bms_bridge.verdicts import BusBack, BusLost, Cause, Trip, Verdict
from depot.ports import Clock
from depot.state import DepotState
from depot.values import PackKey, Role

log = logging.getLogger(__name__)

MAY_RESET: Final = frozenset({Role.SAFETY_OFFICER, Role.ADMIN})
BUS_SILENT_S: Final = 60.0
"""The link is up, packs are expected, and none was heard of for so long: the bus is lost all the same."""

PACKS_A_TURN: Final = 50
RETRY_S: Final = 1.0
_WRITE_LATE_S = 5.0

InThread = Callable[[Callable[[], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PackView:
    """What is known of a pack, for screens. ``age_s`` None: nothing was heard of it yet. ``limit_w``: the most that it may take at the
    battery, W (None: no watts are said). ``newest``: its newest sample, as far as it is believed. ``not_monitored``: rules that do
    not hold what they promise for this pack, each with its reason, and ``powers``: what it can be charged with for some time; both are said
    by :meth:`Guard.view` alone. ``score``: its State of Safety; None: it was never above 70 °C."""

    pack: PackKey
    share: float
    tripped: Trip | None
    since: datetime | None
    text: str
    hottest_c: float | None
    soc: float | None
    age_s: float | None
    issues: tuple[str, ...]
    limit_w: int | None = None
    newest: Checked | None = None
    not_monitored: tuple[tuple[str, str], ...] = ()
    powers: tuple[Power, ...] = ()
    score: Score | None = None


def _nothing_known(_pack: PackKey) -> PackFacts:
    return NOTHING_KNOWN


def _no_session(_pack: PackKey) -> Charging | None:
    return None


class Guard:
    """Watches the packs of one depot.

    ``chemistry_of``: of a pack that the registry knows, else None (its samples are then refused). ``thresholds``: per
    chemistry, :data:`~bms_bridge.chemistry.TABLE` unless a depot has tightened it; ``tighter_of``: what a pack has tightened beyond
    that (None: nothing). ``facts_of``, ``charging_of``: what else is known of a pack, and of the session that charges it now. ``fleet``:
    rules over all packs at once, which may be added later. ``on_verdict`` is called synchronously and must return at once.
    ``on_danger`` is told what else would trip a pack that is tripped already: the cause and its words, once as it begins.
    ``on_unwritten`` is told when trips can't be written down (and, with "", when they are again). ``inner_offset_k``: how much
    hotter a cell may be inside than its sensor says. ``pace``: silence and lateness are borne so many times longer, for a clock that
    runs fast. ``in_thread``: how a disk write is awaited; a virtual loop has no threads and calls inline.

    ``pseudonyms`` and ``profiles`` may be set by the owner: under which key vehicles' numbers are hidden, and what is known of
    units' firmware.
    """

    def __init__(
        self,
        latches: LatchFile,
        *,
        clock: Clock,
        chemistry_of: Callable[[PackKey], Chemistry | None],
        on_verdict: Callable[[Verdict], None],
        on_danger: Callable[[PackKey, Cause, str], None] | None = None,
        on_unwritten: Callable[[str], None] | None = None,
        inner_offset_k: float = INNER_OFFSET_K,
        thresholds: Mapping[Chemistry, Thresholds] = TABLE,
        tighter_of: Callable[[PackKey], Thresholds | None] = lambda _pack: None,
        facts_of: Callable[[PackKey], PackFacts] = _nothing_known,
        charging_of: Callable[[PackKey], Charging | None] = _no_session,
        pace: float = 1.0,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self.rejections = RejectionLog()
        self.issues = IssueBook()
        self.pseudonyms = Pseudonyms.passing()
        self.profiles = Profiles()
        self._latches = latches
        self._clock = clock
        self._chemistry_of = chemistry_of
        self._on_verdict = on_verdict
        self._on_danger = on_danger
        self._on_unwritten = on_unwritten
        for chemistry, row in thresholds.items():
            if not inside(row, chemistry):
                raise InvalidThreshold(f"thresholds of {chemistry} are looser than the envelope")
        self._safety = StateOfSafety(inner_offset_k)
        self.fleet: list[FleetRule] = [self._safety]
        self._thresholds = thresholds
        self._tighter_of = tighter_of
        self._asked: dict[PackKey, tuple[Thresholds, Chemistry, bool]] = {}
        """Whether a pack's own thresholds lie inside the envelope: asked once for each."""
        self._facts_of = facts_of
        self._charging_of = charging_of
        self._pace = pace
        self._in_thread = in_thread
        self.memories: dict[tuple[PackKey, Source], Memory] = {}
        """What validation remembers of each way by which a pack is heard; for screens."""
        self._packs: dict[PackKey, PackState] = {}
        self._since: dict[PackKey, datetime | None] = {}
        self._unwritten: dict[PackKey, tuple[Trip, datetime]] = {}
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._clean = asyncio.Event()
        self._clean.set()
        self._link_up = False
        self._bus_lost = False
        self._last_heard_s = clock.monotonic()
        for pack, latched in latches.latched.items():
            self._packs[pack] = thermal.latched(PackState(pack, pace=pace), latched.trip)
            self._since[pack] = latched.since

    # -- what comes in -----------------------------------------------------------------------------------------------

    def known(self, pack: PackKey) -> bool:
        """Whether samples of ``pack`` are wanted, under its own name or its pseudonym."""
        return self.registered(pack) or self.registered(self.pseudonyms.pack(pack))

    def registered(self, pack: PackKey) -> bool:
        """Whether the depot knows ``pack`` by this very name."""
        return self._chemistry_of(pack) is not None

    def without_numbers(self, sample: PackSample) -> PackSample:
        """The sample as it may be kept: pseudonyms in the place of vehicles' numbers."""
        return self.pseudonyms.sample(sample, self.registered)

    def heard(self, sample: PackSample) -> Checked | Rejection:
        """A sample came. What follows from it has happened when this returns. Returns what of it was believed, or why it was
        refused."""
        sample = self.without_numbers(sample)
        if not self.registered(sample.pack):
            return self.reject(_rejected(sample, RejectReason.UNKNOWN_PACK, f"{sample.pack} is not in the registry"))
        key = (sample.pack, sample.source)
        around = Around(charging=partial(self._charging_of, sample.pack), profiles=self.profiles)
        self.memories[key], checked = check(self.memories.get(key) or Memory(pace=self._pace), sample, around)
        if checked.issues:
            self._complain(sample, checked)
        if checked.repeated:
            return checked
        if checked.too_old:
            return self.reject(_rejected(sample, RejectReason.TOO_OLD, f"{checked.age_s:.0f} s old when it came"))
        now_s = self._clock.monotonic()
        if sample.source in OWN_UNIT and not checked.late:
            self._last_heard_s = now_s
        pack, limits, facts = sample.pack, self._limits(sample.pack), self._facts(sample.pack)
        charging = partial(self._charging_of, pack)
        state, verdict = thermal.hear(self._pack(pack), checked, now_s, limits, facts=facts, charging=charging)
        self._keep(state, verdict)
        if not checked.late:
            for rule in self.fleet:
                tell(rule, checked, now_s, limits, facts)
        if self._bus_lost:
            self._judge_bus(now_s)
        return checked

    def reject(self, rejection: Rejection) -> Rejection:
        """A message was refused before it was a sample. Returns it as it is kept."""
        rejection = self.pseudonyms.rejection(rejection)
        if not self.rejections.counts[rejection.reason]:
            log.warning(
                "telemetry refused (%s): %s: %s; more of this kind are counted only", rejection.reason, rejection.topic, rejection.text
            )
        self.rejections.add(rejection)
        return rejection

    def _complain(self, sample: PackSample, checked: Checked) -> None:
        """Count what was wrong, and keep the values that were left out."""
        self.issues.add(sample.pack, checked.issues, sample.received_at)
        for issue in checked.issues:
            if issue.field:
                self.rejections.add(_rejected(sample, RejectReason.VALUE, issue.text, issue.field))

    def link(self, *, up: bool, reason: str = "") -> None:
        """The MQTT link came up or was lost. A loss counts when it lasts for :data:`BUS_SILENT_S`."""
        self._link_up = up
        if not up:
            log.info("telemetry link is down: %s", reason)

    def expect(self, packs: Iterable[PackKey]) -> None:
        """Of these packs telemetry must come now: their vehicles stand on connectors. All others may be silent."""
        wanted, now_s = set(packs), self._clock.monotonic()
        if wanted and not any(state.expected_since_s is not None for state in self._packs.values()):
            self._last_heard_s = now_s  # nobody had to be heard until now
        for pack in wanted:
            state = self._pack(pack)
            if state.expected_since_s is None:
                self._packs[pack] = structs.replace(state, expected_since_s=now_s)
        for pack, state in list(self._packs.items()):
            if pack not in wanted and state.expected_since_s is not None:
                self._packs[pack] = structs.replace(state, expected_since_s=None)

    def tick(self) -> None:
        """Time went on: call it about once a second."""
        for _ in self.turns():
            pass

    def turns(self) -> Iterator[None]:
        """The same in turns of some milliseconds, so that a sample that comes meanwhile need not wait for all packs."""
        self._judge_bus(self._clock.monotonic())
        for number, pack in enumerate(list(self._packs), start=1):
            charging = partial(self._charging_of, pack)
            facts, now_s = self._facts(pack), self._clock.monotonic()
            ticked = thermal.tick(self._packs[pack], now_s, self._limits(pack), bus_lost=self._bus_lost, facts=facts, charging=charging)
            self._keep(*ticked)
            if number % PACKS_A_TURN == 0:
                yield
        now_s = self._clock.monotonic()
        for rule in self.fleet:
            for pack, finding in judged_all(rule, now_s):
                self._keep(*thermal.found(self._pack(pack), rule.declared, finding, now_s, self._limits(pack)))

    def trip(self, pack: PackKey, cause: Cause, evidence: Mapping[str, str]) -> None:
        """Somebody else than the pack itself has found it dangerous: it is tripped when this returns. One that is tripped already keeps
        its first trip, and ``on_danger`` is told."""
        if self.trip_of(pack) is None:
            self._tripped(Trip(pack, cause, evidence), self._clock.now())
        elif self._on_danger is not None:
            self._on_danger(pack, cause, ", ".join(f"{name} {value}" for name, value in evidence.items()))

    def press(self, pack: PackKey, detector: str, text: str) -> None:
        """A detector of the depot sees something at ``pack``, in words (empty: no longer): until then it is not reset."""
        self._packs[pack] = thermal.pressed(self._pack(pack), detector, text)

    def derate(self, pack: PackKey, declared: Declared, finding: Finding | None) -> None:
        """A rule that is judged elsewhere has found something that leaves ``pack`` a share of its level (None: no longer)."""
        self._keep(*thermal.found(self._pack(pack), declared, finding, self._clock.monotonic(), self._limits(pack)))

    def believe_journal(self, state: DepotState) -> tuple[PackKey, ...]:
        """Once after the start. What was derated stays so until enough is heard of it. Returns packs that the journal says
        are tripped and the latch file does not know: they are tripped; the file was lost or replaced, which the caller
        should raise an alarm about. (A reset is in the file before it is in the journal: a crash between the two leaves its
        pack tripped, and it must be reset again.)"""
        now_s = self._clock.monotonic()
        for pack, share in state.derated.items():
            recalled = thermal.recalled(self._pack(pack), share, now_s)
            self._keep(*thermal.tick(recalled, now_s, self._limits(pack)))
        missing = tuple(pack for pack in state.tripped if self.trip_of(pack) is None)
        for pack in missing:
            known = state.tripped[pack]
            self._tripped(Trip(pack, Cause.JOURNAL, {"journal": known.cause}), known.since)
        return missing

    # -- what goes out -----------------------------------------------------------------------------------------------

    def trip_of(self, pack: PackKey) -> Trip | None:
        """Why ``pack`` must not be charged, or None. To be asked before every start."""
        state = self._packs.get(pack)
        return None if state is None else state.tripped

    def share_of(self, pack: PackKey) -> float:
        """Share of its level that ``pack`` may have now: 0 where it is tripped, 1 where nothing is known against it."""
        state = self._packs.get(pack)
        return 1.0 if state is None else 0.0 if state.tripped is not None else state.share

    def since(self, pack: PackKey) -> datetime | None:
        """Since when ``pack`` is tripped; None: it is not, or its record could not be read."""
        return self._since.get(pack)

    def against_reset(self, pack: PackKey) -> str | None:
        """What speaks against a reset of ``pack`` now, whoever asks; None: nothing, its cause has gone."""
        return thermal.why_not_reset(self._pack(pack), self._clock.monotonic(), self._limits(pack))

    def limits_of(self, pack: PackKey) -> Thresholds:
        """The thresholds that ``pack`` is judged by."""
        return self._limits(pack)

    @property
    def tripped(self) -> tuple[PackKey, ...]:
        return tuple(pack for pack, state in self._packs.items() if state.tripped is not None)

    @property
    def bus_lost(self) -> bool:
        return self._bus_lost

    @property
    def unwritten(self) -> int:
        """Trips that act but are not on the disk yet."""
        return len(self._unwritten)

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with the latch file; each is worth an alarm."""
        return tuple(self._latches.problems)

    def views(self) -> list[PackView]:
        """All packs that something is known of, for screens; which rules watch each is left to :meth:`view`: asked for all of a
        large depot at once, it would hold up what comes in."""
        now_s = self._clock.monotonic()
        return [self._view(state, now_s) for state in self._packs.values()]

    def view(self, pack: PackKey) -> PackView:
        """One pack with everything, also one of which nothing is known yet."""
        now_s, state = self._clock.monotonic(), self._pack(pack)
        return replace(self._view(state, now_s), not_monitored=self._not_monitored(state, now_s), powers=self._powers(state))

    def _powers(self, state: PackState) -> tuple[Power, ...]:
        """The state of power by the newest sample of a source that tells enough for it; none where no source does."""
        facts, limits = self._facts(state.pack), self._limits(state.pack)
        for source, (sample, _) in sorted(state.heard.items(), key=lambda entry: -entry[1][1]):
            cells, minds = cells_of(sample), state.minds.get(source, ())
            now = now_of(sample, cells.high_v if cells is not None else None)
            learned = next((memory for memory in minds if isinstance(memory, Learned)), None)
            capacity_ah = facts.capacity_ah(sample.voltage_v)
            if now is not None and learned is not None and capacity_ah is not None:
                return powers(now, facts, limits, resistance(learned, typical_ohm=typical_ohm(facts.chemistry, capacity_ah)))
        return ()

    async def reset(self, pack: PackKey, *, person: str, role: Role, reason: str) -> None:
        """A person declares ``pack`` safe. Returns once that is on the disk and the verdict has gone out.

        Raises :class:`~bms_bridge.ResetRefused` with what is missing, OSError where it can't be written (nothing changed).
        """
        async with self._writing:
            self._allow_reset(pack, person=person, role=role, reason=reason)
            await self._in_thread(lambda: self._latches.reset(pack, self._clock.now(), person=person, role=role, reason=reason))
            state = self._pack(pack)
            if thermal.why_not_reset(state, self._clock.monotonic(), self._limits(pack)) is not None and state.tripped is not None:
                # it went wrong again while the reset was being written: the trip stands
                await self._in_thread(lambda: self._latches.trip(state.tripped, self._clock.now()))  # type: ignore[arg-type]  # not None: above
                raise ResetRefused(f"{pack} went wrong again while it was being reset; it stays tripped")
            self._unwritten.pop(pack, None)
            self._wake.set()
            self._since.pop(pack, None)
            self._safety.forget(pack)
            self._keep(*thermal.reset(state, self._clock.monotonic(), self._limits(pack)))
        log.warning("%s was reset by %s (%s): %s", pack, person, role, reason)

    async def run(self) -> None:
        """Write trips down as they come, until cancelled; a disk that fails is tried again for as long as it takes."""
        failing = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                async with self._writing:
                    for pack, (trip, at) in list(self._unwritten.items()):
                        await self._in_thread(lambda trip=trip, at=at: self._latches.trip(trip, at))  # type: ignore[misc]  # a default binds the loop's value
                        self._unwritten.pop(pack, None)
            except OSError as error:
                if not failing:
                    log.error("trips act but can't be written down: %s", error)
                    self._tell_unwritten(str(error))
                failing = True
                self._wake.set()
                await self._clock.sleep(RETRY_S)
                continue
            if not self._unwritten:
                self._clean.set()
            if failing:
                failing = False
                self._tell_unwritten("")

    async def written(self) -> None:
        """Returns once every trip is on the disk (while :meth:`run` runs)."""
        await self._clean.wait()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _pack(self, pack: PackKey) -> PackState:
        return self._packs.get(pack) or PackState(pack, pace=self._pace)

    def _facts(self, pack: PackKey) -> PackFacts:
        facts, chemistry = self._facts_of(pack), self._chemistry_of(pack) or Chemistry.UNKNOWN
        return facts if facts.chemistry is chemistry else replace(facts, chemistry=chemistry)

    def _limits(self, pack: PackKey) -> Thresholds:
        """The pack's own thresholds where they lie inside those of its chemistry, else its chemistry's."""
        chemistry = self._chemistry_of(pack) or Chemistry.UNKNOWN
        own = self._tighter_of(pack)
        if own is None:
            return self._thresholds[chemistry]
        known = self._asked.get(pack)
        if known is None or known[0] is not own or known[1] is not chemistry:
            known = self._asked[pack] = (own, chemistry, inside(own, chemistry))
        return own if known[2] else self._thresholds[chemistry]

    def _keep(self, state: PackState, verdict: Verdict | None) -> None:
        before = self._packs.get(state.pack)
        self._packs[state.pack] = state
        if isinstance(verdict, Trip):
            self._tripped(verdict, self._clock.now())
        elif verdict is not None:
            self._on_verdict(verdict)
        if state.tripped is not None and self._on_danger is not None:
            known = before.danger if before is not None and before.tripped is not None else {}
            if state.danger is not known:
                self._tell_danger(state, state.tripped.cause, known, self._on_danger)

    def _tripped(self, trip: Trip, at: datetime) -> None:
        self._packs[trip.pack] = thermal.latched(self._pack(trip.pack), trip)
        self._since[trip.pack] = at
        self._unwritten[trip.pack] = (trip, at)
        self._clean.clear()
        self._wake.set()  # run() writes it after this call: the verdict goes out first
        self._on_verdict(trip)
        log.error("%s tripped: %s, %s", trip.pack, trip.cause, ", ".join(f"{k} {v}" for k, v in trip.evidence.items()))

    def _judge_bus(self, now_s: float) -> None:
        """Lost: nobody was heard for :data:`BUS_SILENT_S`, packs that should be are silent, and it is not just one of them
        (whose own unit may be broken) while the link is up."""
        lost = False
        if now_s - self._last_heard_s > BUS_SILENT_S * self._pace:
            silent = sum(_mute(state, now_s, BUS_SILENT_S * self._pace) for state in self._packs.values())
            lost = silent > (1 if self._link_up else 0)
        if lost == self._bus_lost:
            return
        self._bus_lost = lost
        if lost:
            reason = "no vehicle sends anything" if self._link_up else "the broker is not reachable"
            log.error("telemetry is lost: %s; packs that no charger speaks of are derated", reason)
            self._on_verdict(BusLost(reason))
        else:
            log.info("telemetry is back")
            self._on_verdict(BusBack())

    def _allow_reset(self, pack: PackKey, *, person: str, role: Role, reason: str) -> None:
        if role not in MAY_RESET:
            raise ResetRefused(f"a {role} may not reset a trip; a safety officer or an admin may")
        if not person.strip() or not reason.strip():
            raise ResetRefused("a reset needs the person's name and a reason")
        against = thermal.why_not_reset(self._pack(pack), self._clock.monotonic(), self._limits(pack))
        if against is not None:
            raise ResetRefused(against)

    def _tell_danger(
        self,
        state: PackState,
        tripped_for: Cause,
        known: Mapping[tuple[Source | None, str], str],
        tell: Callable[[PackKey, Cause, str], None],
    ) -> None:
        """What else would trip a pack that is tripped, as far as it was not there before."""
        declared = [*(rule.declared for rule in RULES), *(rule.declared for rule in TIMED), *(rule.declared for rule in self.fleet)]
        causes = {one.name: one.cause for one in declared if one.cause is not tripped_for}
        for key, text in state.danger.items():
            if key not in known and key[1] in causes:
                tell(state.pack, causes[key[1]], text)

    def _tell_unwritten(self, problem: str) -> None:
        if self._on_unwritten is not None:
            self._on_unwritten(problem)

    def _view(self, state: PackState, now_s: float) -> PackView:
        newest = max(state.heard.values(), key=lambda entry: entry[1], default=None)
        texts = [hold.text for hold in state.holds.values()]
        return PackView(
            pack=state.pack,
            share=0.0 if state.tripped is not None else state.share,
            tripped=state.tripped,
            since=self._since.get(state.pack),
            text="; ".join(texts),
            hottest_c=None if newest is None else newest[0].hottest_c,
            soc=None if newest is None else newest[0].soc,
            age_s=None if newest is None else now_s - newest[1],
            issues=() if newest is None else tuple(issue.text for issue in newest[0].issues),
            limit_w=state.limit_w,
            newest=None if newest is None else newest[0],
            score=self._safety.score_of(state.pack),
        )

    def _not_monitored(self, state: PackState, now_s: float) -> tuple[tuple[str, str], ...]:
        """The rules that do not hold what they promise for a pack, and why."""
        facts, charging = self._facts(state.pack), self._charging_of(state.pack)
        rates = {source: self._paced(of) for source, of in state.rates.items()}
        declared = [*(rule.declared for rule in RULES), *(rule.declared for rule in TIMED)]
        reasons = {one.name: why_not(one, rates, facts, charging, now_s=now_s / self._pace) for one in declared}
        reasons |= {rule.declared.name: rule.lacks(state.pack, now_s) for rule in self.fleet}
        return tuple((name, reason) for name, reason in reasons.items() if reason)

    def _paced(self, rates: Rates) -> Rates:
        """Rates as they would be on a clock that does not run fast."""
        if self._pace == 1.0:
            return rates
        return {
            signal: Rate(rate.last_s / self._pace, None if rate.gap_s is None else rate.gap_s / self._pace)
            for signal, rate in rates.items()
        }


def _mute(state: PackState, now_s: float, silent_s: float) -> bool:
    """Whether a pack is expected and its own unit has said nothing for ``silent_s``; a charger may speak of it all the same."""
    if state.expected_since_s is None:
        return False
    heard = (at_s for source, (_, at_s) in state.heard.items() if source in OWN_UNIT)
    return now_s - max([state.expected_since_s, *heard]) > silent_s


def _rejected(sample: PackSample, reason: RejectReason, text: str, field: str = "") -> Rejection:
    return Rejection(reason, text, str(sample.pack), "", sample.received_at, sample.pack, sample.source, field)
