"""The lake: what batteries said, kept for years, beside the controller and never in its way.

    wire        what the core hands over: batches, and how far they are safe
    derive      a batch becomes rows: decoded, checked, judged (the same code at ingest and at a replay)
    schema      the columns: unit, meaning, since when; rows to and from SQLite and Arrow
    hot         SQLite: rows of the last weeks, raw messages of the last days, what is where
    warm        Parquet: one file for each day and pack, always replaced whole
    rules       what is due: sealing, thinning, forgetting, archiving (pure)
    engine      one owner: takes batches, moves rows from tier to tier, survives any instant
    cycles      charge cycles counted as they come (rainflow)
    lifetime    the record of a pack's life (pure fold over its rows)
    replay      the raw messages of the last days through the decoder once more
    catalog     what is there, column by column and day by day
    query       SQL by DuckDB that can only read, within bounds
    passing     a pack's whole history in one signed archive, out and in
    server      the local socket: the core's batches, people's questions

    depot/date/pack partitions:  <lake>/warm/depot=pune/date=2026-11-22/pack=p3f…/rows.parquet

Names: a pack stands here under a pseudonym that only the depot's secret can make; vehicle ids stay in the lake's own database.
Only :mod:`schema` and those below it load Arrow, and only in the lake's own process and commands.

LakeError
├── LakeDamaged      what is on the disk is not what was written; the message names the file
├── LakeRefused      a question or an order that cannot be carried out; the message says why
├── QueryRefused     a query that does more than read, or took more than it may
│   └── QueryTooLarge     … it took more: ask for less
└── ArchiveRefused   a pack's history that is not what it says it is
"""

from __future__ import annotations

from bms_bridge import BmsError


class LakeError(BmsError):
    """Root of the lake's errors (drawn above)."""


class LakeDamaged(LakeError):
    """What is on the disk is not what was written."""


class LakeRefused(LakeError):
    """A question or an order that cannot be carried out."""


class QueryRefused(LakeError):
    """A query that does more than read, or took more than it may."""


class QueryTooLarge(QueryRefused):
    """A query that took more memory or time than it may, or found more rows than were asked for."""


class ArchiveRefused(LakeError):
    """A pack's history that is not what it says it is."""
