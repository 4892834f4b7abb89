"""The battery passport of a pack: what the maker says, what this depot has recorded, what nobody here knows; signed, and told by tier.

    fields      the fields of the data model's six parts, in our own words: kind, unit, bounds, who may see them
    shape       whether a document has these fields, of these kinds
    sheet       data sheets of batteries (TOML): what their maker says
    record      values out of the record of a pack's life, its health, its grade: each with its source
    assemble    data sheet + values --> the whole passport; what is missing is marked with the reason
    tiers       who sees what
    plausible   named checks: a document can have the right shape and be absurd
    seal        signed by the depot's key, and verified
    foreign     a passport from elsewhere: read as hostile input
    paper       as PDF with its QR code

    data sheet, record --assemble()--> Passport --shown_to(tier)--> document --sealed()--> bytes --verified()--> document

The fields are those of the Battery Pass data model, version 1.2.0 (batterypass/BatteryPassDataModel, CC-BY-4.0). None of its files is
shipped. It calls itself a draft for demonstration.

PassportError
├── SheetRefused      a file of data sheets that cannot be used; the message says where
├── PassportRefused   a document that is no passport, or too large, or too deep
└── SealBroken        a signature that does not fit
"""

from __future__ import annotations

from bms_bridge import BmsError


class PassportError(BmsError):
    """Root of the passport's errors (drawn above)."""


class SheetRefused(PassportError):
    """A file of data sheets that cannot be used."""


class PassportRefused(PassportError):
    """A document that is no passport."""


class SealBroken(PassportError):
    """A signature that does not fit what it is to sign."""
