"""Why a payment failed, in the gateway's words, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Action", "Reason", "action_for", "advice"]


class Action(StrEnum):
    """What a failed payment asks for."""

    RETRY_LATER = "retry_later"
    NEED_NEW_MANDATE = "need_new_mandate"
    NEED_CUSTOMER = "need_customer"
    FATAL = "fatal"
    IGNORE = "ignore"
    """No failure of ours: the dummy payment with which a one-time mandate is authorised."""


class Reason(StrEnum):
    """``error_reason`` of a failed UPI payment."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    FUNDS_BLOCKED = "adequate_funds_not_available_blocked"
    AMOUNT_NOT_MANDATES = "amount_does_not_match_mandate_amount"
    TRANSACTION_LIMIT = "transaction_limit_exceeded"
    PER_TRANSACTION_LIMIT = "per_transaction_limit_exceeded"
    MANDATE_CANCELLED = "mandate_cancelled"
    MANDATE_PAUSED = "mandate_paused"
    MANDATE_EXPIRED = "mandate_expired"
    MANDATE_NOT_ACTIVE = "mandate_not_active"
    CYCLE_EXCEEDED = "mandate_current_cycle_allowed_debit_exceeds"
    DAY_RULE = "execution_day_rule_mismatch"
    PSP_AMOUNT_CAP = "mandate_debit_beyond_psp_amount_cap"
    INVALID_TOKEN = "invalid_token"  # noqa: S105  # the gateway's word
    ACCOUNT_CHANGED = "payer_account_has_changed"
    MOBILE_INVALID = "mobile_number_invalid"
    INSTRUMENT_BLOCKED = "debit_instrument_blocked"
    DEBIT_DECLINED = "debit_declined"
    PAYMENT_DECLINED = "payment_declined"
    RISK_CHECK = "payment_risk_check_failed"
    SUSPECTED_FRAUD = "suspected_fraud_decline"
    NOTIFICATION_FAILED = "pre_debit_notification_failed"
    PENDING = "payment_pending"
    PAYMENT_TIMED_OUT = "payment_timed_out"
    REQUEST_TIMED_OUT = "request_timed_out"
    PSP_NOT_AVAILABLE = "psp_not_available"
    PSP_TIMEOUT = "psp_timeout"
    BANK_NOT_AVAILABLE = "bank_not_available"
    BANK_TECHNICAL = "bank_technical_error"
    BANK_HSM = "banks_hsm_is_down_remitter"
    GATEWAY_TECHNICAL = "gateway_technical_error"
    NOT_WITHIN_TAT = "response_not_received_within_tat"
    SEQUENCE_MISMATCH = "seqnum_mismatch_payer_psp"
    DUMMY = "upi_dummy_payment"
    UNKNOWN = "unknown"
    """A word that is not in the list; a person must look."""

    @classmethod
    def of(cls, text: str | None) -> Reason:
        """The reason that the gateway names; UNKNOWN for none or a new one."""
        try:
            return cls(text or "unknown")
        except ValueError:
            return cls.UNKNOWN


_ACTIONS: dict[Action, tuple[Reason, ...]] = {
    Action.RETRY_LATER: (
        Reason.INSUFFICIENT_FUNDS,
        Reason.CYCLE_EXCEEDED,
        Reason.DAY_RULE,
        Reason.NOTIFICATION_FAILED,
        Reason.PENDING,
        Reason.PAYMENT_TIMED_OUT,
        Reason.REQUEST_TIMED_OUT,
        Reason.PSP_NOT_AVAILABLE,
        Reason.PSP_TIMEOUT,
        Reason.BANK_NOT_AVAILABLE,
        Reason.BANK_TECHNICAL,
        Reason.BANK_HSM,
        Reason.GATEWAY_TECHNICAL,
        Reason.NOT_WITHIN_TAT,
        Reason.SEQUENCE_MISMATCH,
    ),
    Action.NEED_NEW_MANDATE: (
        Reason.AMOUNT_NOT_MANDATES,
        Reason.MANDATE_CANCELLED,
        Reason.MANDATE_EXPIRED,
        Reason.INVALID_TOKEN,
        Reason.ACCOUNT_CHANGED,
        Reason.PSP_AMOUNT_CAP,
    ),
    Action.NEED_CUSTOMER: (
        Reason.FUNDS_BLOCKED,
        Reason.TRANSACTION_LIMIT,
        Reason.PER_TRANSACTION_LIMIT,
        Reason.MANDATE_PAUSED,
        Reason.MANDATE_NOT_ACTIVE,
        Reason.MOBILE_INVALID,
        Reason.INSTRUMENT_BLOCKED,
        Reason.DEBIT_DECLINED,
        Reason.PAYMENT_DECLINED,
    ),
    Action.FATAL: (Reason.RISK_CHECK, Reason.SUSPECTED_FRAUD, Reason.UNKNOWN),
    Action.IGNORE: (Reason.DUMMY,),
}
_ACTION_OF = {reason: action for action, reasons in _ACTIONS.items() for reason in reasons}

_ADVICE = {
    Action.RETRY_LATER: "tried again later, without anybody's doing",
    Action.NEED_NEW_MANDATE: "the driver must set up a new mandate",
    Action.NEED_CUSTOMER: "the driver must act in the UPI app (funds, limit, pause), or pay otherwise",
    Action.FATAL: "a person must look at it before anything else is tried",
    Action.IGNORE: "nothing to do",
}


def action_for(reason: Reason) -> Action:
    """What to do about ``reason``; every reason has an answer."""
    return _ACTION_OF[reason]


def advice(reason: Reason) -> str:
    """The same, in words for a person."""
    return _ADVICE[action_for(reason)]
