"""The room of passports: made of sheet, record and health; signed; told by tier; from elsewhere kept beside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fake_passport import NOW, PACK, SHEETS, passport, record

from bms_bridge.lake import LakeRefused
from bms_bridge.passport.fields import at
from bms_bridge.passport.record import Grade
from bms_bridge.passport.seal import canonical, sealed, verified
from bms_bridge.passport.tiers import Tier, shown_to
from controller.passport_room import PassportRoom, PassportSettings
from controller.passport_shelf import MOST_OF_A_PACK, PassportShelf, put_aside
from controller.passport_view import KeptDocumentView, PassportView, PublicPassportView
from depot import commands as cmd
from depot.fleet import Pack
from depot.values import InvalidValue, PackKey

pytestmark = pytest.mark.anyio
FADE = "/Performance/batteryCondition/capacityFade/capacityFadeValue"


@dataclass
class FakeClock:
    at: datetime = NOW
    s: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.s


@dataclass
class Bench:
    """A room on a yard with one registered pack, a lake that answers as it is told, and a folder."""

    folder: Path
    public: bool = False
    batch: str = ""
    clock: FakeClock = field(default_factory=FakeClock)
    answer: Any = None
    asked: int = 0

    def room(self, **more: Any) -> PassportRoom:
        sheets = self.folder / "batteries.toml"
        if not sheets.exists():
            sheets.write_bytes(SHEETS)
        yard = SimpleNamespace(
            clock=self.clock,
            spec=SimpleNamespace(depot_id="kothrud"),
            state=SimpleNamespace(packs={PACK: Pack(PACK, "LFP", 300_000), PackKey("E-104", "P1"): Pack(PackKey("E-104", "P1"))}),
        )
        settings = PassportSettings(
            secret=b"s" * 32,
            key_file=self.folder / "key.pem",
            sheets=sheets,
            address="https://passports.kothrud-transport.in" if self.public else "",
            batches={PACK: self.batch},
        )
        shelf = PassportShelf(self.folder / "kept.jsonl", self.incoming)
        return PassportRoom(yard, settings, shelf, **({"life": self.life, "soc_of": lambda _: (0.5, NOW)} | more))  # type: ignore[arg-type]

    @property
    def incoming(self) -> Path:
        return self.folder / "in"

    async def life(self, pack: PackKey) -> Mapping[str, Any] | None:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"pack": "p3f0c", "record": record()} if pack == PACK else None


async def issue(room: PassportRoom, tier: str = "owner", pack: PackKey = PACK, **more: Any) -> dict[str, Any]:
    names = {"vehicle_id": pack.vehicle_id, "pack_id": pack.pack_id, "tier": tier}
    command = cmd.IssuePassport(command_id="c", actor="mani", reason="sold", **names, **more)
    answered = await room.commands[cmd.IssuePassport](command, SimpleNamespace(actor="mani"))
    if answered.status is cmd.CommandStatus.REFUSED:
        raise InvalidValue(answered.message)
    found: dict[str, Any] = answered.answer["passport"]
    return found


async def keep(room: PassportRoom, digest: str, **more: Any) -> str:
    command = cmd.KeepPassport(
        command_id="c", actor="mani", reason="bought", vehicle_id=PACK.vehicle_id, pack_id=PACK.pack_id, sha256=digest, **more
    )
    status, message = await room.commands[cmd.KeepPassport](command, SimpleNamespace(actor="mani"))
    if status is cmd.CommandStatus.REFUSED:
        raise InvalidValue(message)
    return str(message)


async def test_an_issued_passport_is_signed_and_of_its_tier(tmp_path: Path) -> None:
    room = Bench(tmp_path).room()
    owners = await issue(room)
    assert verified(owners).fingerprint == verified(await issue(room, "public")).fingerprint
    assert at(owners["aspects"], FADE) == 7.0  # the battery's own word, 93 %
    assert owners["provenance"][FADE]["what"] == "battery's own word"
    assert "E-103" not in json.dumps(owners)
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(InvalidValue, match="no tier"):
        await issue(room, "everything")
    with pytest.raises(InvalidValue, match="not registered"):
        await issue(room, pack=PackKey("E-999", "P1"))


async def test_an_estimate_that_a_person_brings_takes_the_place_of_the_batterys_own_word(tmp_path: Path) -> None:
    room = Bench(tmp_path).room()
    brought = {"soh": 0.88, "soh_low": 0.85, "soh_high": 0.91, "soh_at": NOW.isoformat(), "soh_method": "estimate from one charge"}
    document = await issue(room, "repurposer", **brought, evidence_sha256="ab" * 32, grade="80 % or more", grade_probability=0.96)
    assert at(document["aspects"], FADE) == 12.0
    assert "85.0% to 91.0%" in document["provenance"][FADE]["method"]
    assert document["provenance"][FADE]["record_sha256"] == "ab" * 32
    assert document["assessment"]["grade"]["band"] == "80 % or more"
    for wrong in ({"soh": 7.0}, {"soh_low": 0.95}, {"soh_at": "yesterday"}, {"soh_at": "2026-11-01T00:00:00"}, {"soh": float("nan")}):
        with pytest.raises(InvalidValue, match="cannot be"):
            await issue(room, **(brought | wrong))


async def test_a_silent_lake_is_an_error_and_no_lake_is_a_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.answer = LakeRefused("away")
    with pytest.raises(InvalidValue, match="does not answer"):
        await issue(bench.room())
    for error in (FileNotFoundError(2, "no socket"), TimeoutError()):
        bench.answer = error
        with pytest.raises(InvalidValue, match="ask again"):
            await issue(bench.room())
    without = await issue(bench.room(life=None))
    assert "no [lake]" in without["absent"]["/Performance/batteryCondition/energyThroughput"]["reason"]
    bench.answer = None
    other = await issue(bench.room(), pack=PackKey("E-104", "P1"))
    assert "never heard" in other["absent"]["/Performance/batteryCondition/energyThroughput"]["reason"]
    assert "no data sheet" in other["absent"]["/GeneralProductInformation/batteryMass"]["reason"]


async def test_a_broken_sheet_stops_no_depot_and_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    room = bench.room()
    (tmp_path / "batteries.toml").write_bytes(SHEETS.replace(b"mass_kg", b"mas_kg"))
    with pytest.raises(InvalidValue, match="did you mean mass_kg"):
        await issue(room)
    (tmp_path / "batteries.toml").write_bytes(SHEETS.replace(b"warranty_months = 96", b"extreme_high_c = 47"))
    with pytest.raises(InvalidValue, match="counted at"):
        await issue(room)
    (tmp_path / "batteries.toml").unlink()
    with pytest.raises(InvalidValue, match="cannot be read"):
        await issue(room)


async def test_nothing_is_public_without_the_switch_nor_by_a_wrong_word(tmp_path: Path) -> None:
    closed, opened = Bench(tmp_path), Bench(tmp_path, public=True)
    room = closed.room()
    assert await room.views[PublicPassportView]({"token": room.token_of(PACK)}) is None
    assert closed.asked == 0
    room = opened.room()
    for token in ("", "x" * 26, room.token_of(PACK)[:-1], room.token_of(PackKey("E-999", "P1"))):
        assert await room.views[PublicPassportView]({"token": token}) is None
    assert opened.asked == 0
    found = await room.views[PublicPassportView]({"token": room.token_of(PACK)})
    assert isinstance(found, PublicPassportView)
    assert found.document["tier"] == "public"
    assert "assessment" not in found.document
    assert "protective trip" not in json.dumps(found.document)
    await room.views[PublicPassportView]({"token": room.token_of(PACK)})
    assert opened.asked == 1
    assert room.address_of(PACK).endswith(room.token_of(PACK))


async def test_a_passport_from_elsewhere_is_kept_beside_ours_and_changes_nothing_of_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    room = bench.room()
    before = await issue(room)
    theirs = sealed(shown_to(passport(), Tier.REPURPOSER), Ed25519PrivateKey.generate())
    theirs_print = verified(theirs).fingerprint
    digest = put_aside(bench.incoming, canonical(theirs))
    assert "kept beside" in await keep(room, digest, fingerprint=theirs_print)
    assert list(bench.incoming.iterdir()) == []
    assert await keep(room, put_aside(bench.incoming, canonical(theirs))) == "it was kept already"
    after = await issue(room)
    assert after["aspects"] == before["aspects"]
    assert [one["sha256"] for one in after["foreign"]] == [digest]
    assert "foreign" not in await issue(room, "repurposer")
    again = bench.room()
    view = await again.views[PassportView]({"vehicle_id": "E-103", "pack_id": "P1"})
    assert isinstance(view, PassportView)
    assert [(one.sha256, one.by, one.signed_by) for one in view.kept] == [(digest, "mani", theirs_print)]
    whole = await again.views[KeptDocumentView]({"vehicle_id": "E-103", "pack_id": "P1", "sha256": digest})
    assert isinstance(whole, KeptDocumentView)
    assert whole.document == theirs
    assert await again.views[KeptDocumentView]({"vehicle_id": "E-104", "pack_id": "P1", "sha256": digest}) is None


async def test_one_from_elsewhere_tells_the_production_batch_where_the_settings_are_silent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    room = bench.room()
    view = await room.views[PassportView]({"vehicle_id": "E-103", "pack_id": "P1"})
    assert isinstance(view, PassportView)
    assert (view.batch, view.batch_from) == ("", "")
    document = passport()
    place = document["aspects"]["GeneralProductInformation"]["manufacturingPlace"]
    place |= {"addressCountry": "India", "postalCode": "411057"}
    document["absent"] = {path: why for path, why in document["absent"].items() if "manufacturingPlace" not in path}
    theirs = sealed(shown_to(document, Tier.PUBLIC), Ed25519PrivateKey.generate())
    said = await keep(room, put_aside(bench.incoming, canonical(theirs)))
    assert "production batch MB, INDIA 411057, 2024-03, as a passport from elsewhere says" in said
    view = await bench.room().views[PassportView]({"vehicle_id": "E-103", "pack_id": "P1"})
    assert isinstance(view, PassportView)
    assert (view.batch, view.kept[0].batch) == ("MB, INDIA 411057, 2024-03", "MB, INDIA 411057, 2024-03")
    bench.batch = "B7"
    view = await bench.room().views[PassportView]({"vehicle_id": "E-103", "pack_id": "P1"})
    assert isinstance(view, PassportView)
    assert (view.batch, view.batch_from) == ("B7", "as the settings say")


async def test_what_is_wrong_with_one_from_elsewhere_keeps_it_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    room = bench.room()
    theirs = sealed(shown_to(passport(), Tier.PUBLIC), Ed25519PrivateKey.generate())
    for data, words in (
        (b"{", "no JSON"),
        (canonical({**theirs, "issuer": "another"}), "changed after"),
        (canonical({"Labels": {"labels": 3}}), "is missing"),
    ):
        with pytest.raises(InvalidValue, match=words):
            await keep(room, put_aside(bench.incoming, data))
    with pytest.raises(InvalidValue, match="signed by the key"):
        await keep(room, put_aside(bench.incoming, canonical(theirs)), fingerprint="00" * 20)
    for digest in ("../../etc/passwd", "ab" * 32):
        with pytest.raises(InvalidValue, match=r"SHA-256|did not arrive"):
            await keep(room, digest)
    (bench.incoming / f"{'cd' * 32}.json").write_bytes(b"{}")
    with pytest.raises(InvalidValue, match="changed on its way"):
        await keep(room, "cd" * 32)
    assert not (tmp_path / "kept.jsonl").exists() or (tmp_path / "kept.jsonl").read_bytes() == b""


async def test_only_so_many_are_kept_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    room = bench.room()
    for number in range(MOST_OF_A_PACK):
        part = {"Labels": {"declarationOfConformity": f"telnet://a/{number}", "resultOfTestReport": "https://a.in/x", "labels": []}}
        assert "1 values in it cannot be" in await keep(room, put_aside(bench.incoming, canonical(part)))
    part["Labels"]["labels"] = []
    with pytest.raises(InvalidValue, match="at most"):
        await keep(room, put_aside(bench.incoming, canonical(part | {"x": 1})))
    lines = (tmp_path / "kept.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "kept.jsonl").write_bytes(b"".join([lines[0].replace(b"mani", b"mona"), *lines[1:]]))
    view = await bench.room().views[PassportView]({"vehicle_id": "E-103", "pack_id": "P1"})
    assert isinstance(view, PassportView)
    assert len(view.kept) == MOST_OF_A_PACK - 1
    assert hashlib.sha256(canonical(part)).hexdigest() == view.kept[-1].sha256
    assert view.kept[-1].kept_at == NOW.astimezone(UTC)
    assert await bench.room().views[PassportView]({"vehicle_id": "E-999", "pack_id": "P1"}) is None


async def test_health_comes_from_the_book_of_estimates(tmp_path: Path) -> None:
    import contextlib
    from datetime import timedelta

    from bms_bridge import estimates
    from bms_bridge.estimates.book import Book, ChargeEntry, PackEntry
    from bms_bridge.estimates.estimate import COUNTED, SOH, Estimate
    from bms_bridge.estimates.prospect_view import PackBeside, PackProspect
    from bms_bridge.estimates.shelf import Shelf
    from bms_bridge.lake.schema import micros
    from controller.app.passport_room import grade_in_book, health_in_book, rise_in_book
    from storage import Store

    path = tmp_path / "health.db"
    assert health_in_book(path, PACK, NOW) is None
    with contextlib.closing(Store.open(path)) as store:
        store.migrate([estimates])
        end = NOW - timedelta(hours=3)
        one = Estimate(SOH, COUNTED, end.timestamp() - 7200, end.timestamp(), 0.91, 0.88, 0.94, "", {})
        entry = PackEntry(PACK, micros(NOW), "LFP", 500.0, 12, 3, "")
        Book(store).put(entry, [(ChargeEntry(micros(end) - 7_200_000_000, micros(end), 61.0, {}), [one])], now_us=micros(NOW))
    found = health_in_book(path, PACK, NOW)
    assert found is not None
    assert (found.soh, found.low, found.high, found.method, found.own_word) == (0.91, 0.88, 0.94, COUNTED, False)
    assert health_in_book(path, PackKey("E-104", "P1"), NOW) is None

    async def health_of(pack: PackKey) -> Any:
        return health_in_book(path, pack, NOW)

    async def grade_of(pack: PackKey) -> Any:
        return Grade("", None, NOW, "by this depot's estimates; on both sides of 80%")

    rise = PackBeside("resistance", 1.24, 1.15, 1.35, "its newest 9 beside 12 like ones", "", NOW)
    lost = PackBeside("self-discharge", None, None, None, "", "the daily look at its cells has not seen it")
    with contextlib.closing(Store.open(path)) as store:
        Shelf(store).put_prospect(PACK, PackProspect(NOW, NOW, "", grade="vehicle again", beside=[rise, lost]), now_us=micros(NOW))

    async def rise_of(pack: PackKey) -> Any:
        return rise_in_book(path, pack)

    document = await issue(Bench(tmp_path).room(health_of=health_of, grade_of=grade_of, rise_of=rise_of), "repurposer")
    increase = "/Performance/batteryCondition/internalResistanceIncrease"
    assert at(document["aspects"], increase)[0]["internalResistanceIncreaseValue"] == 24.0
    assert "interval 1.15 to 1.35" in document["provenance"][increase]["method"]
    assert increase not in document["absent"]
    assert rise_in_book(path, PackKey("E-104", "P1")) == (None, "no resistance of this battery was measured here")
    whole = grade_in_book(path, PACK)
    assert whole is not None
    assert [one.get("why_not") for one in whole.beside] == [None, "the daily look at its cells has not seen it"]
    assert document["assessment"]["grade"]["band"] == "test required"
    assert "both sides of 80%" in document["assessment"]["grade"]["method"]
    assert document["provenance"][FADE]["what"] == "estimate"
    assert document["provenance"][FADE]["record_sha256"] == found.evidence_sha256


async def test_a_file_for_a_battery_that_is_not_registered_is_not_left_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    digest = put_aside(bench.incoming, b"{}")
    command = cmd.KeepPassport(command_id="c", actor="mani", reason="bought", vehicle_id="E-9", pack_id="P9", sha256=digest)
    status, message = await bench.room().commands[cmd.KeepPassport](command, SimpleNamespace(actor="mani"))
    assert (status, "not registered" in message) == (cmd.CommandStatus.REFUSED, True)
    assert list(bench.incoming.iterdir()) == []
