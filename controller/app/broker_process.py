"""The embedded MQTT broker as a process of the tree: ``python -m controller.app.broker_process --accounts FILE …``. It is
:mod:`bms_bridge.broker`, writing its log as the process does that started it."""

from __future__ import annotations

import sys

from bms_bridge import broker
from controller.logs import set_up

if __name__ == "__main__":
    set_up("broker")
    sys.exit(broker.main(sys.argv[1:]))
