"""Where the people of a depot rest, and what the web is told: shared by ``run``, ``demo`` and ``user``.

People have a database file of their own beside the depot's, so that a sign-in never holds the journal's write lock.
"""

from __future__ import annotations

from pathlib import Path

import web
from controller.drive_keys import drive_key
from controller.settings import Settings
from storage import Store
from web.driver_links import PlaceLinks
from web.settings import WebSettings


def people_database(settings: Settings) -> Path:
    """The file: ``var/<depot>-people.db``."""
    return settings.database.with_name(f"{settings.depot.id}-people.db")


def open_people(settings: Settings) -> Store:
    """Open or create it, with its tables up to date. Raises :class:`storage.StorageError`."""
    store = Store.open(people_database(settings))
    try:
        store.migrate([web])
    except BaseException:
        store.close()
        raise
    return store


def web_settings(settings: Settings) -> WebSettings:
    """What the web is told."""
    return WebSettings(
        depot_id=settings.depot.id, host=settings.web.host, port=settings.web_port, tls=settings.web.tls, hosts=tuple(settings.web.hosts),
        files=settings.files_folder if settings.files.serve else None, incidents=settings.incidents,
        image_bytes=settings.files.max_image_mb * 1024 * 1024,
        exports=settings.lake_exports if settings.lake is not None else None,
        passports=settings.passports_incoming, public_passports=settings.passport.public,
        places=PlaceLinks(settings.drive_url, drive_key(settings)) if settings.drive is not None else None,
    )  # fmt: skip
