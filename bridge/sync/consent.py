"""Whether a visit may be kept, by what it says of consent (docs/user-sync.md has the table).

What says no wins over what says yes, and what cannot be read is a no.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.sync import tc_string
from bridge.sync.mapping import Consent
from bridge.sync.outcome import Outcome, Refused

_US_PRIVACY = re.compile(r"1[YNyn-]([YNyn-])[YNyn-]")
"""Version 1: notice, opt-out of sale, limited service agreement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentRule:
    """What a partner needs."""

    vendor_id: int | None
    """The partner's id in the Global Vendor List; None: it is none of its vendors."""
    purposes: frozenset[int]
    """Of the TCF: all of them have to be consented to."""
    required: bool
    """Whether a visit that says nothing is refused."""


def granted(parameters: Mapping[str, str], rule: ConsentRule, *, gpc: bool) -> Consent:
    """What lets a visit be kept.

    Args:
        parameters: Of the query; gdpr, gdpr_consent and us_privacy are looked at. An empty one is none.
        rule: What is needed.
        gpc: Whether the browser sends Sec-GPC: 1.

    Raises:
        Refused: It may not be kept.
    """
    if gpc:
        raise Refused(Outcome.GPC)
    told = _us_privacy(parameters.get("us_privacy", ""))
    if _gdpr_applies(parameters):
        _check_tc_string(parameters.get("gdpr_consent", ""), rule)
        return Consent.TC_STRING
    if told:
        return Consent.US_PRIVACY
    if parameters.get("gdpr"):
        return Consent.OUTSIDE_GDPR
    if rule.required:
        raise Refused(Outcome.NO_SIGNAL)
    return Consent.NO_SIGNAL


def _us_privacy(text: str) -> bool:
    """Whether it is there and no opt-out."""
    if not text:
        return False
    match = _US_PRIVACY.fullmatch(text)
    if match is None:
        raise Refused(Outcome.CONSENT_UNREADABLE)
    if match[1] in "Yy":
        raise Refused(Outcome.US_PRIVACY)
    return True


def _gdpr_applies(parameters: Mapping[str, str]) -> bool:
    """`gdpr=0` says that it does not; a TC string alone, or anything else, is taken for a 1."""
    gdpr = parameters.get("gdpr", "")
    return gdpr != "0" if gdpr else bool(parameters.get("gdpr_consent"))


def _check_tc_string(text: str, rule: ConsentRule) -> None:
    if not text:
        raise Refused(Outcome.NO_CONSENT)
    try:
        said = tc_string.read(text, rule.vendor_id or 0)
    except tc_string.Unreadable:
        raise Refused(Outcome.CONSENT_UNREADABLE) from None
    if not rule.purposes <= said.purposes - said.forbidden:
        raise Refused(Outcome.NO_CONSENT)
    if rule.vendor_id is not None and not said.vendor:
        raise Refused(Outcome.NO_CONSENT)
