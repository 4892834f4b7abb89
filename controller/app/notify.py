"""``./chargeyard notify CONFIG``: how notifications stand; a test message; dead letters sent again or dropped."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from uuid6 import uuid7

from controller.app.notifier_process import channels_of, open_ledger
from controller.notify.channels import ChannelError
from controller.notify.ledger import Ledger, ledger_file
from controller.outbox import Message
from controller.settings import Settings, SettingsError


def run_notify(config: Path, *, test: bool, retry: bool, forget: bool, console: Console) -> int:
    """Exit code 0, or 1 where the test message did not arrive everywhere."""
    settings = Settings.load(config)
    if settings.notify is None:
        raise SettingsError(f"{config}: there is no section notify: nobody is told of anything (docs/operations.md says how)")

    def say(words: str) -> None:
        console.print("".join(c if c.isprintable() else " " for c in words), markup=False, highlight=False, soft_wrap=True)

    if test:
        return asyncio.run(_test(settings, say))
    if not ledger_file(settings.database, settings.depot.id).is_file():
        say("nothing was ever sent")
        return 0
    with closing(open_ledger(settings)) as store:
        ledger = Ledger(store, settings.depot.id)
        if retry:
            say(f"{ledger.retry(time.time())} dead letters wait to be sent again")
        if forget:
            say(f"{ledger.forget(0, dead_now=True)} dead letters dropped")
        found = ledger.standing()
        say(f"waiting {found.waiting}, sent {found.sent} in 30 days, dead letters {found.dead}")
        if found.sent_s is not None:
            say(f"last arrived {datetime.fromtimestamp(found.sent_s, UTC):%Y-%m-%d %H:%M:%S} UTC")
        for dead in ledger.given_up():
            say(f"  {dead.channel}  {dead.message.at:%Y-%m-%d %H:%M}  {dead.message.title}: {dead.error} ({dead.tries} tries)")
    return 0


async def _test(settings: Settings, say) -> int:  # type: ignore[no-untyped-def]  # a function of one text
    """One message through every channel, now, past outbox and ledger."""
    message = Message(
        id=str(uuid7()),
        depot_id=settings.depot.id,
        seq=0,
        at=datetime.now(UTC),
        kind="test",
        title="Test message",
        text="If you can read this, notifications of the depot reach you. Nothing has happened.",
    )
    failed = 0
    for channel in channels_of(settings):
        try:
            await channel.send(message)
            say(f"{channel.name}: arrived")
        except ChannelError as error:
            failed += 1
            say(f"{channel.name}: did not arrive: {error}")
    return 1 if failed else 0
