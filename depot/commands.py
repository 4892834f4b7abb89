"""Commands: what a person or a machine asks of the depot. Imperative, with actor and reason, never folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from depot.events import VisitAnnounced
from depot.fleet import Driver, Pack, Vehicle
from depot.registry import FeederSpec, StationSpec
from depot.values import ConnectorId, PackKey, Role, Supply


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Base. ``actor``: who (person's name, ``scada``, ``simulator`` …); ``command_id`` makes a repeat harmless.
    ``TITLE``: what people read on a button and in the audit trail."""

    TITLE: ClassVar[str] = ""

    command_id: str
    actor: str
    reason: str = ""

    @property
    def target(self) -> str:
        """What it acts on, for the audit trail."""
        return ""

    @property
    def detail(self) -> Mapping[str, str]:
        """What else the audit trail keeps: no free text beside the reason, no secret, no person's data."""
        return {}

    @property
    def bare(self) -> Command:
        """What may be kept in memory for the screens: without anybody's contact data."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorCommand(Command):
    """Base of what acts on one connector."""

    connector: ConnectorId

    @property
    def target(self) -> str:
        return str(self.connector)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCharging(ConnectorCommand):
    """Start a session now on ``connector``, as soon as the limits leave its minimum."""

    TITLE: ClassVar[str] = "Start session"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCharging(ConnectorCommand):
    """End the session on ``connector``; it is not started again for this visit unless asked."""

    TITLE: ClassVar[str] = "Stop session"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetManualLimit(Command):
    """Limit site or feeder to ``value_w`` until ``until`` (None: until cleared). ``scope_id`` "" = site."""

    TITLE: ClassVar[str] = "Set manual limit"

    value_w: int
    scope_id: str = ""
    until: datetime | None = None

    @property
    def target(self) -> str:
        return self.scope_id or "site"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"value_w": str(self.value_w), "until": self.until.isoformat() if self.until else ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearManualLimit(Command):
    """Lift the manual limit of site ("") or feeder."""

    TITLE: ClassVar[str] = "Lift manual limit"

    scope_id: str = ""

    @property
    def target(self) -> str:
        return self.scope_id or "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSupply(Command):
    """Say what feeds the site: its generator, whose rating is then the site's limit, or the grid again."""

    TITLE: ClassVar[str] = "Say what feeds the site"

    supply: Supply = Supply.GENERATOR

    @property
    def target(self) -> str:
        return "site"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"supply": self.supply.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAvailability(ConnectorCommand):
    """Take a connector out of service or put it back (which also forgets that it disobeyed)."""

    TITLE: ClassVar[str] = "Change availability"

    operative: bool

    @property
    def detail(self) -> Mapping[str, str]:
        return {"operative": str(self.operative)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceVisit(Command):
    """State or change a vehicle's stay."""

    TITLE: ClassVar[str] = "Announce visit"

    visit: VisitAnnounced

    @property
    def target(self) -> str:
        return self.visit.vehicle_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"visit_id": self.visit.visit_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelVisit(Command):
    """Take back a stay that will not happen."""

    TITLE: ClassVar[str] = "Cancel departure"

    visit_id: str
    vehicle_id: str = ""

    @property
    def target(self) -> str:
        return self.vehicle_id or self.visit_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"visit_id": self.visit_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRegistry(Command):
    """Register, change and remove vehicles, packs and drivers; all or nothing.

    ``names``: names of drivers by driver_id, kept apart from the facts; "" takes a name away, who is not in it keeps his.
    """

    TITLE: ClassVar[str] = "Change registry"

    vehicles: tuple[Vehicle, ...] = ()
    packs: tuple[Pack, ...] = ()
    drivers: tuple[Driver, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    remove_vehicles: tuple[str, ...] = ()
    remove_packs: tuple[PackKey, ...] = ()
    remove_drivers: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return _targets(self.detail)

    @property
    def detail(self) -> Mapping[str, str]:
        return _detail(
            ("vehicle", [v.vehicle_id for v in self.vehicles]),
            ("pack", [str(p.key) for p in self.packs]),
            ("driver", [d.driver_id for d in self.drivers]),
            ("removed vehicle", self.remove_vehicles),
            ("removed pack", [str(p) for p in self.remove_packs]),
            ("removed driver", self.remove_drivers),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSite(Command):
    """Change stations and feeders beside the settings file, from the core's next start on; all or nothing.
    ``key_hashes``: keyed hash of the password, of stations that the file does not know. ``withdraw_…``: back to the file."""

    TITLE: ClassVar[str] = "Change site"

    stations: tuple[StationSpec, ...] = ()
    feeders: tuple[FeederSpec, ...] = ()
    key_hashes: Mapping[str, str] = field(default_factory=dict)
    retire_stations: tuple[str, ...] = ()
    withdraw_stations: tuple[str, ...] = ()
    withdraw_feeders: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return _targets(self.detail)

    @property
    def detail(self) -> Mapping[str, str]:
        return _detail(
            ("station", [s.station_id for s in self.stations]),
            ("feeder", [f.feeder_id for f in self.feeders]),
            ("retired station", self.retire_stations),
            ("withdrawn station", self.withdraw_stations),
            ("withdrawn feeder", self.withdraw_feeders),
        )


_LISTED = 20


def _detail(*parts: tuple[str, Sequence[str]]) -> Mapping[str, str]:
    """Ids per kind for the audit trail; long lists are cut, and say how long they are."""
    out = {}
    for kind, ids in parts:
        if ids:
            out[kind] = ", ".join(ids[:_LISTED]) + (f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else "")
    return out


def _targets(detail: Mapping[str, str]) -> str:
    return "; ".join(f"{kind} {ids}" for kind, ids in detail.items())[:200]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeAlarms(Command):
    """Say that a person has seen these alarms."""

    TITLE: ClassVar[str] = "Acknowledge alarm"

    keys: tuple[str, ...]

    @property
    def target(self) -> str:
        return self.keys[0] if len(self.keys) == 1 else f"{len(self.keys)} alarms"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelveAlarm(Command):
    """Put an alarm aside for ``minutes``; None: take it out of service, until somebody takes it back."""

    TITLE: ClassVar[str] = "Shelve alarm"

    key: str
    minutes: int | None

    @property
    def target(self) -> str:
        return self.key

    @property
    def detail(self) -> Mapping[str, str]:
        return {"minutes": "" if self.minutes is None else str(self.minutes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshelveAlarm(Command):
    """Take an alarm back from the shelf, or back into service."""

    TITLE: ClassVar[str] = "Unshelve alarm"

    key: str

    @property
    def target(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAudit(Command):
    """Hash the whole audit trail again, now."""

    TITLE: ClassVar[str] = "Check audit trail"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalCommand(Command):
    """Base of what a second person says about a command that waits."""

    approval_id: str

    @property
    def target(self) -> str:
        return self.approval_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveCommand(ApprovalCommand):
    """As the second person: let the command that waits be carried out."""

    TITLE: ClassVar[str] = "Approve command"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseCommand(ApprovalCommand):
    """Say no to a command that waits for a second person."""

    TITLE: ClassVar[str] = "Refuse command"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPack(Command):
    """Declare a tripped pack safe: ``actor`` is the person, ``role`` the one of their session."""

    TITLE: ClassVar[str] = "Reset trip"

    pack: PackKey
    role: Role

    @property
    def target(self) -> str:
        return str(self.pack)

    @property
    def detail(self) -> Mapping[str, str]:
        return {"role": self.role.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMandate(Command):
    """Ask the gateway for a UPI AutoPay mandate of a driver, who pays for sessions started with ``id_tag``. Name, e-mail
    and phone (``contact``, with +91) go to the gateway and are kept nowhere here."""

    TITLE: ClassVar[str] = "Set up mandate"

    driver_id: str
    id_tag: str
    max_amount_paise: int
    expire_at: datetime
    name: str = field(repr=False)
    email: str = field(repr=False)
    contact: str = field(repr=False)

    @property
    def target(self) -> str:
        return self.driver_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"max_amount_paise": str(self.max_amount_paise), "expire_at": self.expire_at.isoformat()}

    @property
    def bare(self) -> RegisterMandate:
        return replace(self, name="", email="", contact="")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeMandate(Command):
    """Have the gateway end a mandate. Bills that are under way may fail then, and are the driver's to pay."""

    TITLE: ClassVar[str] = "End mandate"

    mandate_id: str

    @property
    def target(self) -> str:
        return self.mandate_id


@dataclass(frozen=True, slots=True, kw_only=True)
class BillCommand(Command):
    """Base of what is done about one session's bill."""

    session_id: str

    @property
    def target(self) -> str:
        return self.session_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDebit(BillCommand):
    """Try a bill in arrears once more, under the driver's mandate of today, with a new notice."""

    TITLE: ClassVar[str] = "Try debit again"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOffBill(BillCommand):
    """Give a bill in arrears up: a loss in the ledger."""

    TITLE: ClassVar[str] = "Write off bill"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundBill(BillCommand):
    """Give a paid bill back as a whole."""

    TITLE: ClassVar[str] = "Refund bill"


COMMANDS: Mapping[str, type[Command]] = {
    kind.__name__: kind
    for kind in (
        StartCharging, StopCharging, SetManualLimit, ClearManualLimit, SetSupply, SetAvailability, AnnounceVisit,
        AcknowledgeAlarms, ShelveAlarm, UnshelveAlarm, CheckAudit, ApproveCommand, RefuseCommand, ResetPack,
        CancelVisit, ChangeRegistry, ChangeSite,
        RegisterMandate, RevokeMandate, RetryDebit, WriteOffBill, RefundBill,
    )
}  # fmt: skip
"""All commands, by the name under which they travel and are audited."""


class CommandStatus(StrEnum):
    """How far a command got: refused at once, accepted (under way), done, failed."""

    REFUSED = "refused"
    ACCEPTED = "accepted"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer. ``audit_seq``: journal position of the request; ``message`` says what happened or what to do."""

    command_id: str
    status: CommandStatus
    message: str
    audit_seq: int = 0
