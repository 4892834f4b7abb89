"""Who may connect how, as settings and facts say now: the :class:`~ocpp_server.access.AccessBook` of a depot.

    settings, registry --base--> profile and key       facts (depot.security) --> what people and stations made of them since
                                   \\-- the book answers a handshake from both, in memory --/
    a station came --admitted--> facts: the profile that it has reached, the key that it has taken over

What a station has shown acts at once and is recorded after (tight at once, invariant 4): the lower profile and the older key
are closed before the fact is on the disk. If it never gets there, both are open again after a restart, until the station
comes once more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from depot import events as ev
from depot.ports import Clock
from depot.security import SecurityState, StationAccess
from ocpp_server.access import PROFILES, Access, Admitted, Refused, keyed_digest


@dataclass(frozen=True, slots=True)
class Base:
    """What settings or registry say of a station: the least profile, and the digest of its key; "": it has none."""

    profile: int
    digest: str


@dataclass(frozen=True, slots=True)
class Came:
    """How a station came in last. ``fingerprint``: of its certificate."""

    at: datetime
    profile: int
    fingerprint: str | None


class DepotAccess:
    """The book. ``base``: None for a station that is not of this depot. ``refused``, ``tls_failed``: who hears of what was
    turned away; they must not wait."""

    def __init__(
        self,
        *,
        key: bytes,
        base: Callable[[str], Base | None],
        state: Callable[[], SecurityState],
        clock: Clock,
        organization: str = "",
    ) -> None:
        self._key = key
        self._base = base
        self._state = state
        self._clock = clock
        self._organization = organization
        self._ahead: dict[str, StationAccess] = {}
        """What the journal does not have yet."""
        self._certificates: object = None
        self._revoked: Mapping[str, frozenset[str]] = {}
        self._facts: deque[tuple[str, list[ev.Event]]] = deque()
        self._news = asyncio.Event()
        self.came: dict[str, Came] = {}
        self.on_admitted: Callable[[Admitted], None] = lambda admitted: None
        self.on_refused: Callable[[Refused, str], None] = lambda refused, remote: None
        self.on_tls_failed: Callable[[str, str], None] = lambda reason, remote: None

    # -- AccessBook ---------------------------------------------------------------------------------------------

    def access(self, station_id: str) -> Access | None:
        base = self._base(station_id)
        if base is None:
            return None
        facts = self.facts(station_id)
        profile = max(base.profile, facts.profile or 0)
        key = self.key_of(base, facts)
        return Access(
            station_id=station_id,
            profile=profile,
            upgrade=facts.upgrade if facts.upgrade is not None and facts.upgrade > profile else None,
            keys=tuple(digest for digest in (key, facts.offered) if digest),
            organization=self._organization,
            revoked=self._revoked_of(station_id),
        )

    def digest(self, station_id: str, password: str) -> str:
        return keyed_digest(self._key, station_id, password)

    def admitted(self, admitted: Admitted) -> None:
        station_id, certificate = admitted.station_id, admitted.certificate
        self.came[station_id] = Came(self._clock.now(), admitted.profile, None if certificate is None else certificate.fingerprint)
        facts, base = self.facts(station_id), self._base(station_id)
        news: list[ev.Event] = []
        if facts.upgrade is not None and admitted.profile == facts.upgrade:
            news.append(ev.SecurityProfileSet(station_id, admitted.profile, "reached"))
            facts = replace(facts, profile=admitted.profile, upgrade=None)
        if base is not None and admitted.digest is not None and admitted.digest == facts.offered:
            news.append(ev.StationKeySet(station_id, admitted.digest, base.digest))
            facts = replace(facts, key=admitted.digest, key_over=base.digest, offered="")
        self._act(station_id, facts, news)
        self.on_admitted(admitted)

    def taken_over(self, station_id: str, *, digest: str = "", profile: int | None = None) -> None:
        """The station has a new key, or moves to a higher profile, by somebody else's word: it may come so from now on."""
        facts = self.facts(station_id)
        news: list[ev.Event] = []
        access = self.access(station_id)
        if digest:
            news.append(ev.StationKeyOffered(station_id, digest))
            facts = replace(facts, offered=digest, offered_at=self._clock.now())
        if profile is not None and access is not None and access.profile < profile <= PROFILES[-1] and facts.upgrade != profile:
            news.append(ev.SecurityUpgradeOrdered(station_id, profile))
            facts = replace(facts, upgrade=profile, upgrade_at=self._clock.now())
        self._act(station_id, facts, news)

    def _act(self, station_id: str, facts: StationAccess, news: list[ev.Event]) -> None:
        if news:
            self._ahead[station_id] = facts
            self._facts.append((station_id, news))
            self._news.set()

    def refused(self, refused: Refused, remote: str) -> None:
        self.on_refused(refused, remote)

    def tls_failed(self, reason: str, remote: str) -> None:
        self.on_tls_failed(reason, remote)

    # -- for the room that keeps it --------------------------------------------------------------------------------

    def base(self, station_id: str) -> Base | None:
        """What settings or registry say; None: not a station of this depot."""
        return self._base(station_id)

    def facts(self, station_id: str) -> StationAccess:
        """What people and the station made of it, with what is not journaled yet."""
        return self._ahead.get(station_id) or self._state().of(station_id)

    @staticmethod
    def key_of(base: Base, facts: StationAccess) -> str:
        """The digest of the key in use; "" without one. What the settings say anew holds over what was rotated before."""
        return facts.key if facts.key and facts.key_over == base.digest else base.digest

    async def to_record(self) -> tuple[str, list[ev.Event]]:
        """The next facts that the journal does not have. :meth:`recorded` when it does."""
        while not self._facts:
            self._news.clear()
            await self._news.wait()
        return self._facts[0]

    def recorded(self) -> None:
        station_id, _ = self._facts.popleft()
        if not any(waiting == station_id for waiting, _ in self._facts):
            self._ahead.pop(station_id, None)

    def _revoked_of(self, station_id: str) -> frozenset[str]:
        certificates = self._state().certificates
        if certificates is not self._certificates:  # a depot that reconnects asks this a thousand times a second
            self._certificates = certificates
            self._revoked = _by_station((c.station_id, c.fingerprint) for c in certificates.values() if c.revoked_at is not None)
        return self._revoked.get(station_id, frozenset())


def _by_station(pairs: Iterator[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for station_id, fingerprint in pairs:
        found[station_id] = found.get(station_id, frozenset()) | {fingerprint}
    return found
