"""The settings of the depot's layout: where vehicles stand, and which walls stand between them.

See :mod:`controller.sections` for how sections are written, ``docs/state-of-safety.md`` for what is done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import StringConstraints

from controller.output_areas import Areas
from controller.sections import Section, setting
from depot.outputs import Area
from depot.registry import DepotSpec
from depot.values import InvalidValue

if TYPE_CHECKING:
    from bms_bridge.layout import Layout

Compartment = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._ -]{0,40}$")]


class BaySection(Section):
    """The place of one vehicle on the floor."""

    id: str = setting(..., "Which bay: as stations name it, or a station's id where it names none.", min_length=1, max_length=64)
    x_m: float = setting(..., "Its middle, in any coordinates of the depot's own.", unit="m", ge=-100_000, le=100_000)
    y_m: float = setting(..., "Its middle, across x.", unit="m", ge=-100_000, le=100_000)
    length_m: float = setting(12.0, "Length of the longest vehicle that stands there.", unit="m", ge=1, le=30)
    width_m: float = setting(2.6, "Width of that vehicle.", unit="m", ge=0.5, le=5)
    heading_deg: float = setting(0.0, "Direction of its long side: 0 along x, 90 along y.", unit="°", ge=-360, le=360)
    compartment: Compartment = setting("", "Fire compartment that it lies in. Empty: the one without a name.")


class WallSection(Section):
    """A wall between bays."""

    x1_m: float = setting(..., "Where it begins.", unit="m", ge=-100_000, le=100_000)
    y1_m: float = setting(..., "Where it begins, across x.", unit="m", ge=-100_000, le=100_000)
    x2_m: float = setting(..., "Where it ends.", unit="m", ge=-100_000, le=100_000)
    y2_m: float = setting(..., "Where it ends, across x.", unit="m", ge=-100_000, le=100_000)
    fire_minutes: float = setting(0.0, "How long it holds fire back, as certified. 0: nothing is known of it.", unit="min", ge=0, le=480)


class LayoutSection(Section):
    """What holds for the whole layout."""

    compartment_minutes: float = setting(
        60.0, "How long what divides compartments holds fire back, as certified.", unit="min", ge=0, le=480
    )


def layout_of(bays: Sequence[BaySection], walls: Sequence[WallSection], whole: LayoutSection) -> Layout | None:
    """The layout; None where no bay has a place. Raises :class:`~bms_bridge.InvalidLayout`."""
    from bms_bridge.layout import Bay, Layout, Wall

    if not bays:
        return None
    return Layout(
        bays=tuple(
            Bay(
                bay_id=bay.id,
                x_m=bay.x_m,
                y_m=bay.y_m,
                length_m=bay.length_m,
                width_m=bay.width_m,
                heading_deg=bay.heading_deg,
                compartment=bay.compartment,
            )
            for bay in bays
        ),
        walls=tuple(Wall(x1_m=wall.x1_m, y1_m=wall.y1_m, x2_m=wall.x2_m, y2_m=wall.y2_m, fire_minutes=wall.fire_minutes) for wall in walls),
        compartment_minutes=whole.compartment_minutes,
    )


def check_layout(bays: Sequence[BaySection], walls: Sequence[WallSection], whole: LayoutSection, spec: DepotSpec) -> None:
    """What must hold with the depot as built. Raises :class:`~depot.values.InvalidValue`."""
    from bms_bridge import InvalidLayout

    areas = Areas(spec, ())
    for bay in bays:
        if not areas.exists(Area.of("bay", bay.id)):
            raise InvalidValue(f"bay {bay.id}: no station of the depot stands in a bay of that name")
    if walls and not bays:
        raise InvalidValue("there are walls, but no bay has a place: add [[bay]] sections, or leave the walls out")
    try:
        layout_of(bays, walls, whole)
    except InvalidLayout as error:
        raise InvalidValue(str(error)) from None
