"""The embedded broker stays open: what a slow controller leaves behind is no reason to let nobody in any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.raw_mqtt import RawMqtt
from bms_bridge.accounts import Account, Accounts, Kind, new_account
from bms_bridge.broker import serving
from bms_bridge.contract import topic_of, topics_of_all
from bms_bridge.door import MOST_AHEAD, MOST_WAITING
from depot.values import PackKey

DEPOT = "pune-1"
VEHICLES = [f"BUS{number:02d}" for number in range(2 * MOST_WAITING // MOST_AHEAD)]
LATE = "LATE"


async def published(link: RawMqtt) -> tuple[bytes, bytes]:
    """Packet id and payload of the next PUBLISH of QoS 1."""
    while True:
        first = (await link.reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await link.reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = await link.reader.readexactly(length)
        if first >> 4 == 3:
            after = 2 + int.from_bytes(body[:2], "big")
            return body[after : after + 2], body[after + 2 :]


def test_a_controller_that_confirms_late_finds_the_door_open_again(tmp_path: Path) -> None:
    keys: dict[str, str] = {}
    accounts: list[Account] = []
    for name in ("core", *VEHICLES, LATE):
        keys[name], account = new_account(name, Kind.CORE if name == "core" else Kind.VEHICLE, () if name == "core" else ("P1",))
        accounts.append(account)
    path = tmp_path / "accounts.json"
    Accounts(DEPOT, accounts).save(path)

    async def main() -> None:
        async with serving(path) as port:
            core = await RawMqtt.open(port, "core", keys["core"])
            name = topics_of_all(DEPOT).encode()
            body = b"\0\1" + len(name).to_bytes(2, "big") + name + b"\1"
            core.writer.write(bytes((0x82, len(body))) + body)
            units = [await RawMqtt.open(port, name, keys[name]) for name in VEHICLES]
            for unit, name in zip(units, VEHICLES, strict=True):
                for count in range(MOST_AHEAD):
                    unit.publish(topic_of(DEPOT, PackKey(name, "P1")), str(count).encode())
            unconfirmed: list[bytes] = []
            while len(unconfirmed) < MOST_WAITING:
                unconfirmed.append((await asyncio.wait_for(published(core), 5))[0])
            for packet_id in unconfirmed:
                core.writer.write(b"\x40\x02" + packet_id)
            late = await RawMqtt.open(port, LATE, keys[LATE])
            late.publish(topic_of(DEPOT, PackKey(LATE, "P1")), b"hot")
            async with asyncio.timeout(3):
                while True:
                    packet_id, payload = await published(core)
                    core.writer.write(b"\x40\x02" + packet_id)
                    if payload == b"hot":
                        break
            for link in (core, late, *units):
                link.writer.close()

    asyncio.run(main())
