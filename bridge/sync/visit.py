"""What a visit of a browser comes to, before anything is stored: values in, a decision out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.sync.consent import ConsentRule, granted
from bridge.sync.mapping import ZEROS, Consent, UserSync, is_mm_uuid, is_partner_id
from bridge.sync.outcome import Outcome, Refused
from bridge.sync.query import RETURNED
from bridge.sync.signature import signed_id

_MACRO = "MM_UUID"
_DATA_CENTRE_LENGTH = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """What a browser brings."""

    parameters: Mapping[str, str]
    """Of the query (`query.parameters`)."""
    cookie: str | None
    """The partner's own id, out of its cookie."""
    opted_out: bool
    """Whether it has the mark of an opt-out."""
    gpc: bool
    """Whether it sends Sec-GPC: 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What the partner has configured."""

    namespace: str
    """Whose ids its own are."""
    consent: ConsentRule
    keys: tuple[bytes, ...]
    """Of signatures."""


@dataclass(frozen=True, slots=True)
class GiveCookie:
    """The browser gets an id, and is to come back with it.

    A mapping of a browser that keeps no cookies is never met again, and each of its visits would add one.
    """

    partner_id: str


def decide(visit: Visit, rules: Rules, now: int, new_id: Callable[[], str]) -> UserSync | GiveCookie:
    """The mapping to store, or the cookie to give.

    Args:
        visit: What a browser brings.
        rules: What holds.
        now: Epoch ms.
        new_id: Makes an id that nobody can guess.

    Raises:
        Refused: Neither, and why.
    """
    parameters = visit.parameters
    mm_uuid = _mm_uuid(parameters.get("mmuuid", ""))
    if visit.opted_out:
        raise Refused(Outcome.OPTED_OUT)
    consent = granted(parameters, rules.consent, gpc=visit.gpc)
    partner_id = known_id(visit, rules, now)
    if partner_id is None:
        if RETURNED in parameters:
            raise Refused(Outcome.COOKIE_REFUSED)
        return GiveCookie(new_id())
    return UserSync(
        namespace=rules.namespace,
        partner_id=partner_id,
        mm_uuid=mm_uuid,
        data_centre=data_centre(parameters.get("dc", "")),
        synced_at=now,
        consent=consent,
    )


def opt_out(visit: Visit, rules: Rules, now: int) -> UserSync | None:
    """The opt-out to store; None: the browser has no id.

    Raises:
        Refused: Its id is none, or its signature does not hold.
    """
    partner_id = known_id(visit, rules, now)
    if partner_id is None:
        return None
    return UserSync(
        namespace=rules.namespace,
        partner_id=partner_id,
        mm_uuid=None,
        synced_at=now,
        consent=Consent.WITHDRAWN,
    )


def known_id(visit: Visit, rules: Rules, now: int) -> str | None:
    """The partner's own id: the signed one, or else the cookie's.

    Raises:
        Refused: It is none, or its signature does not hold.
    """
    signed = signed_id(visit.parameters, rules.namespace, rules.keys, now)
    if signed is not None or visit.cookie is None:
        return signed
    if not is_partner_id(visit.cookie):
        raise Refused(Outcome.INVALID_PARTNER_ID)
    return visit.cookie


def data_centre(text: str) -> str:
    """Three letters in lower case; empty for anything else: a mapping is worth keeping without it."""
    sound = len(text) == _DATA_CENTRE_LENGTH and text.isascii() and text.isalpha()
    return text.lower() if sound else ""


def _mm_uuid(text: str) -> str:
    if not text:
        raise Refused(Outcome.NO_MM_UUID)
    if _MACRO in text.upper():
        raise Refused(Outcome.UNREPLACED_MACRO)
    mm_uuid = text.lower()
    if mm_uuid == ZEROS:
        raise Refused(Outcome.ZERO_MM_UUID)
    if not is_mm_uuid(mm_uuid):
        raise Refused(Outcome.INVALID_MM_UUID)
    return mm_uuid
