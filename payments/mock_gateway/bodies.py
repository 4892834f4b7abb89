"""What the API takes. What the real one knows and this one does not is passed over."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from payments.mock_gateway.npci import FREQUENCIES

Paise = Annotated[int, Field(strict=True, ge=100, le=50_000_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Noted(_Body):
    notes: dict[str, Any] = Field(default_factory=dict, max_length=15)

    @field_validator("notes", mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        return {} if value in ([], None) else value  # the real one takes an empty list


class NewCustomer(_Noted):
    """``fail_existing`` "1" (the default): a customer who exists is an error; "0": is the answer."""

    name: str = Field(default="", max_length=50)
    email: str = Field(min_length=3, max_length=64)
    contact: str = Field(min_length=8, max_length=15, pattern=r"^\+?[0-9]+$")
    fail_existing: str | int | bool = "1"


class EditCustomer(_Body):
    name: str | None = Field(default=None, max_length=50)
    email: str | None = Field(default=None, min_length=3, max_length=64)
    contact: str | None = Field(default=None, min_length=8, max_length=15, pattern=r"^\+?[0-9]+$")


class NewToken(_Body):
    """What is to be authorised. ``type`` single_block_multiple_debit: Reserve Pay; frequency one_time: a one-time mandate."""

    max_amount: Annotated[int, Field(strict=True, ge=100)]
    expire_at: int | None = None
    frequency: str = "as_presented"
    type: str | None = None
    recurring_type: str | None = Field(default=None, pattern="^(before|on|after)$")
    recurring_value: int | None = Field(default=None, ge=1, le=31)

    @field_validator("frequency")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in FREQUENCIES:
            raise ValueError("The frequency is invalid")
        return value

    @property
    def mode(self) -> str:
        """autopay, reserve or otm."""
        return "otm" if self.frequency == "one_time" else "reserve" if self.type == "single_block_multiple_debit" else "autopay"


class NewNotification(_Body):
    token_id: str
    payment_after: int


class NewOrder(_Noted):
    amount: Paise
    currency: str = Field(pattern="^INR$")
    receipt: str | None = Field(default="", max_length=40)
    customer_id: str | None = None
    method: str | None = None
    token: NewToken | None = None
    notification: NewNotification | None = None


class LinkCustomer(_Body):
    name: str = Field(default="", max_length=50)
    email: str = Field(default="", max_length=64)
    contact: str = Field(min_length=8, max_length=15, pattern=r"^\+?[0-9]+$")


class Registration(NewToken):
    method: str = Field(default="upi", pattern="^upi$")


class NewLink(_Noted):
    customer: LinkCustomer
    type: str = Field(pattern="^link$")
    amount: Paise
    currency: str = Field(pattern="^INR$")
    description: str = Field(default="", max_length=2048)
    subscription_registration: Registration
    receipt: str | None = Field(default="", max_length=40)
    expire_by: int | None = None
    sms_notify: bool | int = False
    email_notify: bool | int = False


class Flow(_Body):
    flow: str = "intent"
    vpa: str | None = None


class NewPayment(_Noted):
    """Of an approval (``upi`` says how the driver's app is reached), or, with ``token``, a debit."""

    amount: Paise
    currency: str = Field(default="INR", pattern="^INR$")
    order_id: str
    customer_id: str | None = None
    email: str = Field(min_length=1)
    contact: str = Field(min_length=1)
    recurring: bool | str | int = False
    token: str | None = None
    upi: Flow | None = None
    vpa: str | None = None
    description: str | None = None

    @property
    def recurs(self) -> bool:
        """Whether it says so, in any of the ways that the real one takes."""
        return str(self.recurring) in ("True", "true", "1", "preferred")


class NewRefund(_Noted):
    amount: Annotated[int, Field(strict=True, ge=100)] | None = None
    receipt: str | None = None
    speed: str = "normal"
