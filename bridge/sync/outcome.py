"""What becomes of a visit: a closed list, the label of a metric (docs/user-sync.md)."""

from enum import StrEnum


class Outcome(StrEnum):
    """One word for each end that a visit can have; in the order in which they are looked for."""

    MALFORMED_QUERY = "malformed_query"
    """Too many parameters, one of ours twice, or one that is no UTF-8."""
    NO_MM_UUID = "no_mm_uuid"
    """There is no mmuuid, or it is empty."""
    UNREPLACED_MACRO = "unreplaced_macro"
    """The platform has not put its id in the macro's place."""
    INVALID_MM_UUID = "invalid_mm_uuid"
    """It is not 8-4-4-4-12 hex."""
    ZERO_MM_UUID = "zero_mm_uuid"
    """It is all zeros: the platform does not know the browser."""
    OPTED_OUT = "opted_out"
    """The browser has the opt-out's cookie."""
    GPC = "gpc"
    """Sec-GPC: 1."""
    US_PRIVACY = "us_privacy"
    """us_privacy says that the user has opted out."""
    CONSENT_UNREADABLE = "consent_unreadable"
    """A signal of consent is there and is none."""
    NO_CONSENT = "no_consent"
    """The GDPR applies, and gdpr_consent does not allow it."""
    NO_SIGNAL = "no_signal"
    """Nothing is said of consent, and `consent.required` demands it."""
    BAD_SIGNATURE = "bad_signature"
    """The signed parameters are not whole, or no key has signed them."""
    SIGNATURE_EXPIRED = "signature_expired"
    """Signed, and its time is over."""
    INVALID_PARTNER_ID = "invalid_partner_id"
    """The partner's own id is not 1 to 256 bytes of 0x21-0x7E."""
    COOKIE_REFUSED = "cookie_refused"
    """The browser was given a cookie, and has not kept it."""
    COOKIE_SET = "cookie_set"
    """The browser is given a cookie, and sent back once to show it."""
    STORED = "stored"
    """The mapping is durable."""
    NOT_STORED = "not_stored"
    """The store did not say in time that it is."""
    NO_PARTNER_ID = "no_partner_id"
    """Of an opt-out alone: the browser has no id, and gets the mark."""


class Refused(Exception):  # noqa: N818  # it is an answer
    """Nothing is stored, and no cookie is set."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome
