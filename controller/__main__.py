"""``python -m controller``: what ``./chargeyard`` starts once the environment stands."""

from __future__ import annotations

import sys


def start() -> int:
    """The command line; Ctrl-C while it is only being loaded ends it with a sentence, too."""
    try:
        from controller.app.cli import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("chargeyard: stopped by Ctrl-C before it was done\n")
        return 130


sys.exit(start())
