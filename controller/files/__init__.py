"""Files of stations: firmware images that they fetch, logs that they send.

    manager --web--> shelf (images) <--service-- station fetches, by a sealed and expiring address
    station --service--> shelf (received) <--look-- core: facts, states, alarms

The bytes never pass the core. Web, service and core meet on the shelf: a folder of the depot's data.

    FilesError
    ├── BadTicket     an address that is forged, or has expired
    ├── TooLarge      more bytes than there may be
    └── ShelfFull     no room on the disk
"""

from __future__ import annotations


class FilesError(Exception):
    """Root of this package's errors; the message is for people."""
