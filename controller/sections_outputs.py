"""The settings of outputs: contactors, ventilation, siren, beacon, emergency isolation; what is dangerous is refused here.

See :mod:`controller.sections` for how sections are written, ``docs/outputs.md`` for the wiring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from controller.output_areas import Areas
from controller.sections import Section, setting
from depot.outputs import WORDS, Area, OutputKind, OutputSpec
from depot.registry import DepotSpec
from depot.values import InvalidValue

OutputId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$")]


class OutputSection(Section):
    """One output of an I/O module."""

    id: OutputId = setting(..., "Name by which it is called in addresses, facts and the log.")
    name: str = setting("", "Name on the screens; the id where it is empty.", max_length=60)
    kind: Literal["contactor", "isolation", "ventilation", "siren", "beacon"] = setting(
        ..., "What it is. isolation: the emergency solenoid of a breaker."
    )
    scope: Literal["bay", "feeder", "site"] = setting(..., "How wide the area is that it acts on.")
    area: str = setting("", "Which bay (as stations name it, or a station's id where it names none) or feeder. Empty for the site.")
    feeds: tuple[Literal["charging", "auxiliary", "life-safety"], ...] = setting(
        ("charging",),
        "What hangs behind it. Auxiliary supply of vehicles (their cooling) and life-safety circuits must not: that is refused.",
        min_length=1,
    )
    host: str = setting(..., "Address of its I/O module.", min_length=1)
    port: int = setting(502, "Modbus TCP port of the module.", ge=1, le=65_535)
    unit: int = setting(1, "Modbus unit id.", ge=0, le=255)
    table: Literal["coil", "holding"] = setting("coil", "What is written: a coil (function 5) or a holding register (function 16).")
    address: int = setting(..., "Its number, counted from 0 as on the wire.", ge=0, le=65_535)
    on_value: int = setting(1, "Register: the value that energises.", ge=0, le=65_535)
    off_value: int = setting(0, "Register: the value that drops out.", ge=0, le=65_535)
    de_energised: Literal["open", "closed", "running", "stopped", "sounding", "silent", "lit", "dark"] = setting(
        ..., "State that the device takes when its coil drops out: open or closed, running or stopped, sounding or silent, lit or dark."
    )
    unsafe_when_dead: str = setting(
        "",
        "Why it is accepted that a contactor is closed, or ventilation stopped, when its coil drops out. Needed there, else refused.",
        max_length=200,
    )
    read_table: Literal["none", "coil", "discrete", "holding", "input"] = setting(
        "none", "Where its state is read back: an auxiliary contact, never the coil itself for what isolates."
    )
    read_address: int = setting(0, "Number of that input, counted from 0.", ge=0, le=65_535)
    read_on_means: Literal["", "open", "closed", "running", "stopped", "sounding", "silent", "lit", "dark"] = setting(
        "", "State that a closed contact, or a register that is not 0, tells of."
    )
    watchdog_address: int | None = setting(
        None, "Holding register that the module must see written, else it drops its coils out. Unset: none.", ge=0, le=65_535
    )
    poll_s: float = setting(0.5, "How often it is written, read back, and its watchdog kept alive.", unit="s", ge=0.1, le=5)
    settle_s: float = setting(1.0, "Within which its read-back follows a command.", unit="s", ge=0.05, le=10)
    opens_below_a: float = setting(
        5.0, "What isolates opens once less than this flows behind it, counted as if on one phase.", unit="A", gt=0, le=1000
    )
    opens_after_s: float = setting(5.0, "It opens after this time in any case, under load if must be.", unit="s", ge=0, le=60)
    sounds_s: float = setting(0.0, "How long a siren sounds after each new cause. 0: until the reset.", unit="s", ge=0, le=3600)
    closes: Literal["alone", "by a person"] = setting(
        "alone", "How a contactor comes back that dropped out without being asked, as after a restart: alone, or after a person's reset."
    )

    @model_validator(mode="after")
    def _safe(self) -> Self:
        kind = OutputKind(self.kind)
        normal, emergency = WORDS[kind]
        for name, word in (("de_energised", self.de_energised), ("read_on_means", self.read_on_means)):
            if word and word not in (normal, emergency):
                raise ValueError(f"{name} of {_a(kind)} is {normal} or {emergency}, not {word}")
        if (self.scope == "site") == bool(self.area):
            raise ValueError("the site has no area to name" if self.area else f"area: which {self.scope}?")
        if kind.isolates:
            self._cuts_safely(kind)
        if kind is not OutputKind.SIREN and self.sounds_s:
            raise ValueError("sounds_s is for sirens")
        if self.proven and not self.read_on_means:
            raise ValueError("read_on_means: what does a closed contact tell?")
        if kind in (OutputKind.CONTACTOR, OutputKind.ISOLATION, OutputKind.VENTILATION) and self.de_energised != emergency:
            if len(self.unsafe_when_dead.split()) < 3:
                raise ValueError(
                    f"{_a(kind)} that is {self.de_energised} when its coil drops out fails to the unsafe side: wire it the other way, "
                    "or say in unsafe_when_dead why that is accepted"
                )
        elif self.unsafe_when_dead:
            raise ValueError(f"unsafe_when_dead: {self.de_energised} is the safe side; leave it out")
        return self

    def _cuts_safely(self, kind: OutputKind) -> None:
        """What must hold for everything that cuts power."""
        other = [what for what in self.feeds if what != "charging"]
        if other:
            raise ValueError(f"{_a(kind)} never switches {' or '.join(other)} supply: feed it ahead of the {kind}")
        if not self.proven:
            raise ValueError(f"{_a(kind)} needs a read-back (read_table): one that is welded is not seen otherwise")
        if (self.read_table, self.read_address) == (self.table, self.address):
            raise ValueError("the read-back is the coil itself, which proves nothing: read an auxiliary contact")

    @property
    def proven(self) -> bool:
        return self.read_table != "none"

    @property
    def place(self) -> tuple[str, int, int]:
        """Which module it is on."""
        return self.host, self.port, self.unit

    def to_spec(self) -> OutputSpec:
        """The output. Raises :class:`~depot.values.InvalidValue`."""
        kind = OutputKind(self.kind)
        return OutputSpec(
            output_id=self.id,
            kind=kind,
            area=Area.of(self.scope, self.area),
            name=self.name,
            falls_safe=self.de_energised == WORDS[kind][1],
            proven=self.proven,
            watched=self.watchdog_address is not None,
            settle_s=self.settle_s,
            opens_below_a=self.opens_below_a,
            opens_after_s=self.opens_after_s,
            sounds_s=self.sounds_s,
            recloses=self.closes == "alone",
        )


def _a(kind: OutputKind) -> str:
    return f"an {kind}" if kind is OutputKind.ISOLATION else f"a {kind}"


def check_outputs(outputs: Sequence[OutputSection], spec: DepotSpec) -> None:
    """What must hold between outputs, and with the depot as built. Raises :class:`~depot.values.InvalidValue`."""
    Areas.checked(spec, [output.to_spec() for output in outputs])
    places: dict[tuple[str, int, int], OutputSection] = {}
    taken: dict[tuple[tuple[str, int, int], str, int], str] = {}
    for output in outputs:
        first = places.setdefault(output.place, output)
        if (first.watchdog_address, first.poll_s) != (output.watchdog_address, output.poll_s):
            raise InvalidValue(f"outputs {first.id} and {output.id} are on one module: watchdog_address and poll_s must agree")
        written = [(output.place, output.table, output.address)]
        if output.watchdog_address is not None and first is output:
            written.append((output.place, "holding", output.watchdog_address))
        for place in written:
            if place in taken:
                raise InvalidValue(f"outputs {taken[place]} and {output.id} are written to the same place")
            taken[place] = output.id
