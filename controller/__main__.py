"""``python -m controller``: what ``./chargeyard`` starts once the environment stands."""

from __future__ import annotations

import sys

from controller.app.cli import main

sys.exit(main())
