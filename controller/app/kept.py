"""What a depot keeps, and under which name it stands in a backup. Everything else in the folder can be made again;
firmware images and logs of stations, which are large, can be brought again.

The order is that of copying. The journal comes after what refers to it; the ledger comes last, for it must know every
session that the journal knows: one without a reservation would be billed as if nobody had ever been asked for its money.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.app.people import people_database
from controller.contact_keys import CONTACTS_FILE
from controller.names import names_path
from controller.notify.ledger import ledger_file
from controller.port_certificate import authority_path
from controller.secrets import SECRET_FILE
from controller.settings import Settings

JOURNAL = "journal.db"
PEOPLE = "people.db"
PAYMENTS = "payments.db"
WORK = "work.db"
NOTIFY = "notify.db"
LATCHES = "latches"
ISOLATIONS = "isolations"
GROWING = frozenset({LATCHES, ISOLATIONS})
"""Only ever grow: the one that is here knows more than any backup."""
SECRET = "depot.secret"  # noqa: S105  # a file's name
CONTACTS = "contacts.key"
AUTHORITY = "authority.pem"
CONFIG = "config.toml"
DRIVERS = "drivers.json"
SHIFT = "persons.json"
INCIDENTS = "incidents.tar"
"""The folder of incidents' files: added to what is there, never in its place (:mod:`controller.incident_bundle`)."""
ACCOUNTS = "mqtt.json"
LIVES = "lifetimes.json"
LAKE_KEY = "lake.pem"
HEALTH = "health.db"
PASSPORTS = "passports.jsonl"
NAMES = (
    CONFIG, PEOPLE, NOTIFY, DRIVERS, SHIFT, ACCOUNTS, LIVES, LAKE_KEY, HEALTH, PASSPORTS, INCIDENTS, LATCHES, ISOLATIONS, SECRET, CONTACTS,
    AUTHORITY, JOURNAL, PAYMENTS, WORK,
)  # fmt: skip
"""All that may stand in a backup. ``config.toml`` is in it for a machine that has lost everything; it is never put back."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a depot. ``name``: in a backup; ``what``: for people."""

    name: str
    path: Path
    what: str

    @property
    def is_database(self) -> bool:
        return self.name.endswith(".db")

    @property
    def with_logs(self) -> tuple[Path, ...]:
        """The file and what SQLite keeps beside it."""
        return (self.path, *(Path(f"{self.path}{end}") for end in ("-wal", "-shm", "-journal"))) if self.is_database else (self.path,)


def kept_of(settings: Settings) -> tuple[Kept, ...]:
    """The files of this depot, whether they are there or not."""
    folder, depot = settings.storage.path, settings.depot.id
    return (
        Kept(PEOPLE, people_database(settings), "people and tokens"),
        Kept(NOTIFY, ledger_file(settings.database, depot), "how far notifications got"),
        Kept(DRIVERS, names_path(folder, depot), "names of drivers"),
        Kept(SHIFT, names_path(folder, depot, "person"), "names of people on shift"),
        Kept(ACCOUNTS, settings.mqtt_accounts, "telematics accounts"),
        Kept(LIVES, folder / f"{depot}-lifetimes.json", "records of packs' lives"),
        Kept(HEALTH, settings.health_database, "estimates of packs' health"),
        Kept(LAKE_KEY, settings.lake_key, "the key that signs packs' histories and passports"),
        Kept(PASSPORTS, settings.passports, "passports of packs from elsewhere"),
        Kept(LATCHES, settings.latches, "latched trips of packs"),
        Kept(ISOLATIONS, settings.isolations, "isolated areas"),
        Kept(SECRET, folder / SECRET_FILE, "the depot's secret"),
        Kept(CONTACTS, folder / CONTACTS_FILE, "the key of drivers' contact data"),
        Kept(AUTHORITY, authority_path(folder, depot), "the depot's certificate authority"),
        Kept(JOURNAL, settings.database, "the journal"),
        Kept(PAYMENTS, settings.payments_database, "mandates, bills and ledger"),
        Kept(WORK, settings.work_database, "work orders on packs"),
    )
