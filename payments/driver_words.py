"""What a driver is told about paying, in English and Hindi: short, and with what to do next. Keys are for pages and tests;
amounts and times are put in by whoever shows them.

    may_start.…    whether a session may begin, and why not: a gate's refusal, with the state of the mandate where that tells more
    next.…         what to do then
    warned.…       while a session goes on
    stopped.…      why it was ended
"""

from __future__ import annotations

from dataclasses import dataclass

from payments.gate import GateAnswer, GateRefusal
from payments.states import MandateState, Mode

__all__ = ["WORDS", "Words", "headline_of", "next_step_of", "words_for"]


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages."""

    key: str
    english: str
    hindi: str


_TEXTS: dict[str, tuple[str, str]] = {
    "may_start.yes": ("You may charge.", "आप चार्ज कर सकते हैं।"),
    "may_start.smaller": (
        "You may charge up to the amount that is left.",
        "आप बची हुई राशि तक चार्ज कर सकते हैं।",
    ),
    "may_start.no_mandate": ("No payment is set up yet.", "अभी तक भुगतान सेट नहीं है।"),
    "may_start.waits": ("Your approval in the UPI app is still missing.", "यूपीआई ऐप में आपकी मंज़ूरी बाकी है।"),
    "may_start.link_expired": ("The approval link has expired.", "मंज़ूरी का लिंक समाप्त हो गया है।"),
    "may_start.declined": ("The approval was declined.", "मंज़ूरी अस्वीकार हो गई।"),
    "may_start.ended": ("Your mandate has ended.", "आपका मैंडेट समाप्त हो गया है।"),
    "may_start.mandate_paused": ("Your mandate is paused.", "आपका मैंडेट रुका हुआ है।"),
    "may_start.mandate_expires": (
        "Your mandate ends before this session could be paid.",
        "आपका मैंडेट इस सत्र के भुगतान से पहले समाप्त हो जाएगा।",
    ),
    "may_start.in_arrears": ("An earlier session is unpaid.", "पिछला एक सत्र अभी बकाया है।"),
    "may_start.exposure": (
        "What is unpaid leaves too little of your limit.",
        "बकाया राशि के कारण आपकी सीमा में जगह कम है।",
    ),
    "may_start.block_too_small": (
        "Too little is left of the reserved amount.",
        "आरक्षित राशि में बहुत कम बचा है।",
    ),
    "may_start.one_time_used": ("This one-time payment is used.", "यह एकबारगी भुगतान उपयोग हो चुका है।"),
    "may_start.books_unavailable": (
        "Payments cannot be looked up right now.",
        "भुगतान की जानकारी अभी नहीं मिल रही है।",
    ),
    "next.plug_in": ("Plug in and start.", "केबल लगाएँ और शुरू करें।"),
    "next.set_up": (
        "Set up UPI AutoPay, or reserve an amount.",
        "यूपीआई ऑटोपे सेट करें, या कोई राशि आरक्षित करें।",
    ),
    "next.approve": ("Open your UPI app and approve with your PIN.", "अपना यूपीआई ऐप खोलें और पिन से मंज़ूरी दें।"),
    "next.resume": (
        "Resume the mandate in your UPI app, then try again.",
        "यूपीआई ऐप में मैंडेट फिर चालू करें, फिर दोबारा कोशिश करें।",
    ),
    "next.pay": ("Pay the open amount first.", "पहले बकाया राशि चुकाएँ।"),
    "next.wait": (
        "Wait until your last sessions are debited, or reserve an amount.",
        "पिछले सत्रों की राशि कटने तक रुकें, या कोई राशि आरक्षित करें।",
    ),
    "next.top_up": ("Reserve a new amount to go on.", "आगे बढ़ने के लिए नई राशि आरक्षित करें।"),
    "next.try_later": ("Try again in a minute.", "एक मिनट बाद फिर कोशिश करें।"),
    "warned.top_up": (
        "The reserved amount is nearly used. Reserve a new amount, or charging ends soon.",
        "आरक्षित राशि लगभग समाप्त है। नई राशि आरक्षित करें, नहीं तो चार्जिंग जल्द बंद होगी।",
    ),
    "warned.mandate_lost": (
        "Your mandate is no longer active. Resume it in your UPI app or set up a new one, or charging ends soon.",
        "आपका मैंडेट अब चालू नहीं है। यूपीआई ऐप में इसे चालू करें या नया सेट करें, नहीं तो चार्जिंग जल्द बंद होगी।",
    ),
    "stopped.energy_spent": (
        "Charging ended: the most energy of one session is reached.",
        "चार्जिंग समाप्त: एक सत्र की अधिकतम ऊर्जा पूरी हो गई।",
    ),
    "stopped.money_spent": (
        "Charging ended: the amount for this session is used.",
        "चार्जिंग समाप्त: इस सत्र की राशि पूरी हो गई।",
    ),
    "stopped.mandate_lost": (
        "Charging ended: your mandate is no longer active.",
        "चार्जिंग समाप्त: आपका मैंडेट अब चालू नहीं है।",
    ),
    "stopped.not_allowed": (
        "Charging ended: it began while the charger was offline, and payment is not possible now.",
        "चार्जिंग समाप्त: यह तब शुरू हुई जब चार्जर ऑफ़लाइन था, और अभी भुगतान संभव नहीं है।",
    ),
}

WORDS = {key: Words(key, english, hindi) for key, (english, hindi) in _TEXTS.items()}

_WAITS = (MandateState.NEW, MandateState.LINK_SENT, MandateState.INTENT_OPEN, MandateState.INITIATED)
_NEXT = {
    GateRefusal.NO_MANDATE: "set_up",
    GateRefusal.MANDATE_PAUSED: "resume",
    GateRefusal.MANDATE_EXPIRES: "set_up",
    GateRefusal.IN_ARREARS: "pay",
    GateRefusal.EXPOSURE: "wait",
    GateRefusal.BLOCK_TOO_SMALL: "top_up",
    GateRefusal.ONE_TIME_USED: "top_up",
}


def words_for(key: str) -> Words:
    """The text of a key. Raises :class:`KeyError` for one that does not exist."""
    return WORDS[key]


def headline_of(answer: GateAnswer, *, smaller: bool = False) -> Words:
    """Whether a session may begin, or why not."""
    if answer.allowed:
        return words_for("may_start.smaller" if smaller else "may_start.yes")
    if answer.refusal is GateRefusal.MANDATE_NOT_ACTIVE:
        return words_for(f"may_start.{_not_active(answer.state)}")
    return words_for(f"may_start.{answer.refusal}")


def next_step_of(answer: GateAnswer) -> Words:
    """What the driver does next."""
    if answer.allowed:
        return words_for("next.plug_in")
    if answer.refusal is GateRefusal.MANDATE_NOT_ACTIVE:
        return words_for("next.approve" if answer.state in _WAITS else "next.set_up")
    if answer.refusal is GateRefusal.MANDATE_EXPIRES and answer.mode is not Mode.AUTOPAY:
        return words_for("next.top_up")
    return words_for(f"next.{_NEXT[answer.refusal or GateRefusal.NO_MANDATE]}")


def _not_active(state: MandateState | None) -> str:
    if state in _WAITS:
        return "waits"
    return {MandateState.LINK_EXPIRED: "link_expired", MandateState.REJECTED: "declined"}.get(state or MandateState.NEW, "ended")
