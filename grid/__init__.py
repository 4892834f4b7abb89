"""The site and the utility: tariffs, demand blocks, the meter at the connection point, the utility's limit.

    limit_model      the registers that the utility sees, as data
    limit_session    staged writes, commit, acknowledgement (no I/O)
    failsafe         the link to the utility as a state machine (pure)
    limit_client     an RTU that cannot write is read, and obeyed by the same rules
    limit_desk       requests to registers and commands, behind limit_server (sockets, TLS, who is let in)
    sunspec          models of SunSpec devices, as data; sunspec_assets: solar plants and batteries that speak it
    tariff           dated layers of an order, prices; billing: a month's bill; demand_pieces: what a peak costs
    meter            the meter at the connection: meter_map (registers as data), meter_codec, meter_checks, meter_probe
    modbus_link      the way to a Modbus device, kept alive
    output_module    an I/O module with contactors, siren, ventilation
    detector_module  an I/O module with detectors of smoke, gas, pressure, heat

GridError
├── TariffError
│   ├── UnknownTariff      no tariff of that name; the message lists the names
│   ├── InvalidTariff      a tariff file or a parameter that cannot be right; the message says where
│   └── NoContract         a billing demand depends on the contract demand, and none is known
├── BillingError           a bill cannot be made of what was given
├── LinkError              the way to a Modbus device
│   ├── NoAnswer           no connection, or no answer in time
│   ├── Refused            the device answered with an exception
│   └── NotThere           an RTU without the model that it should hold
├── SunSpecError           a device whose SunSpec chain or points cannot be used
├── MeterError             a setting or a reading that cannot be used; a reading is counted and kept from the controller
│   ├── UnknownMap         no meter map of that name; the message lists the names
│   └── InvalidMap         a meter map that cannot be right; each thing with its line
├── ContactError           settings of a contact that cannot be right
├── OutputModuleError      settings of an I/O module that cannot be right
├── RegisterRefused        a read or write of a Modbus master that is answered with an exception
├── NotModbus              bytes of a Modbus master that are no Modbus TCP
└── LimitServerError       a setting of the limit server that cannot be right
    └── PortInUse          the limit server cannot listen where it should
"""

from __future__ import annotations


class GridError(Exception):
    """Root of this room's errors."""
