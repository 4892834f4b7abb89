"""What is shown of refused telemetry, and of what is wrong with what was taken: shapes alone."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class RejectionView(Struct, frozen=True, kw_only=True):
    """One refused message, or one value that was left out (``reason`` is ``value``, ``field`` its name). ``excerpt``: the beginning
    of what came, made printable; numbers of vehicles have pseudonyms."""

    number: int
    received_at: datetime
    vehicle_id: str
    pack_id: str
    source: str
    reason: str
    field: str
    topic: str
    text: str
    excerpt: str


class RejectionsView(Struct, frozen=True, kw_only=True):
    """One page, newest first. ``before``: give it to get the next one; None at the end. ``counts``: by reason, all since the
    core's start; ``kept``: by reason, of those that are kept and match; ``lost``: could not be kept since the core's start."""

    at: datetime
    rejections: list[RejectionView]
    before: int | None
    counts: dict[str, int]
    kept: dict[str, int]
    lost: int


class IssueView(Struct, frozen=True, kw_only=True):
    """One kind of complaint about what a pack says: how often since the core's start, and its last words."""

    kind: str
    count: int
    first_at: datetime
    last_at: datetime
    text: str


class SpeakerView(Struct, frozen=True, kw_only=True):
    """One way by which a pack is heard. ``clock_offset_s``: how far its clock is behind ours (with the quickest way), None: it
    tells no time; ``clock_drift_ppm``: how much it loses; ``clock_stands``: it stands still. ``profile``: the firmware profile by
    which it is read, "" for none. ``cells``, ``sensors``: how many it tells."""

    source: str
    firmware: str
    profile: str
    clock_offset_s: float | None
    clock_drift_ppm: float
    clock_stands: bool
    sensors: int
    cells: int


class PackIssues(Struct, frozen=True, kw_only=True):
    """What is wrong with what one pack says, and who says it."""

    vehicle_id: str
    pack_id: str
    issues: list[IssueView]
    speakers: list[SpeakerView]


class TelemetryIssuesView(Struct, frozen=True, kw_only=True):
    """All packs that were heard, by vehicle; ``counts``: by kind, of all."""

    at: datetime
    counts: dict[str, int]
    packs: list[PackIssues]
