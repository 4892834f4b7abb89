"""Every room's Alembic scripts, applied together, without an ``alembic.ini``: the composition root names the rooms.

A room keeps its steps in ``<room>/migrations``; its first step has ``down_revision = None`` and its own branch label.
Steps are named ``<room>_<number>``, so that people can read the table ``alembic_version``, and so that one room can be
brought up to date (a command that needs only people's accounts) beside others that it has not loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from storage.errors import FutureDatabase

if TYPE_CHECKING:
    from storage.store import Store


def upgrade(store: Store, rooms: Sequence[ModuleType]) -> None:
    """Apply all steps that are missing, in one transaction. See :meth:`storage.store.Store.migrate`."""
    folders = [folder for room in rooms for base in room.__path__ if (folder := Path(base) / "migrations").is_dir()]
    scripts = ScriptDirectory(Path(__file__).parent, version_locations=folders)
    known = {step.revision for step in scripts.walk_revisions()}

    named = {room.__name__.rpartition(".")[2] for room in rooms}

    def steps(current: Any, _: Any) -> Any:
        unknown = sorted(step for step in set(current) - known if step.rpartition("_")[0] in named)
        if unknown:
            raise FutureDatabase(
                f"{store.name} was written by a newer version of Chargeyard (step {', '.join(unknown)} is unknown here): "
                "run that version, or restore a backup that is older than the update"
            )
        ours: Any = tuple(step for step in current if step in known)  # several heads, whatever the annotation says
        return scripts._upgrade_revs("heads", ours)

    with EnvironmentContext(Config(), scripts, fn=steps, destination_rev="heads") as environment, store.writing() as connection:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
