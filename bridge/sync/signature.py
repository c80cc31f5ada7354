"""A partner's own id in the query, signed: for pages that know their user, where no cookie of ours is needed.

    id=PARTNER_ID&expires=EPOCH_SECONDS&signature=HEX
    HEX = HMAC-SHA256(key, "NAMESPACE PARTNER_ID EPOCH_SECONDS"), in lower case

The signature does not cover the MM UUID, which the page does not know: until it expires, whoever has the
query can bring another browser to that id. So let it expire soon.
"""

import hmac
import re
from collections.abc import Iterable, Mapping

from bridge.clock import SECOND
from bridge.sync.mapping import is_partner_id
from bridge.sync.outcome import Outcome, Refused

PARAMETERS = ("id", "expires", "signature")

SHORTEST = 32
"""Bytes of a key: as many as the digest has."""

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def sign(namespace: str, partner_id: str, expires: int, key: bytes) -> str:
    """The signature of an id that is to hold until `expires` (epoch seconds)."""
    return hmac.digest(key, f"{namespace} {partner_id} {expires}".encode(), "sha256").hex()


def signed_id(parameters: Mapping[str, str], namespace: str, keys: Iterable[bytes], now: int) -> str | None:
    """The id that a query's parameters are signed for; None: they name none.

    Args:
        parameters: Of the query.
        namespace: Whose id it is.
        keys: Any of them may have signed it, so that a new one can take the place of an old one.
        now: Epoch ms.

    Raises:
        Refused: They are not whole, not signed by a key of ours, or their time is over.
    """
    partner_id, expires, signature = (parameters.get(name) for name in PARAMETERS)
    if partner_id is None and expires is None and signature is None:
        return None
    if partner_id is None or signature is None or expires is None or _SECONDS.fullmatch(expires) is None:
        raise Refused(Outcome.BAD_SIGNATURE)
    if not is_partner_id(partner_id):
        raise Refused(Outcome.INVALID_PARTNER_ID)
    signatures = (sign(namespace, partner_id, int(expires), key) for key in keys)
    if not any(hmac.compare_digest(one.encode(), signature.encode()) for one in signatures):
        raise Refused(Outcome.BAD_SIGNATURE)
    if int(expires) * SECOND <= now:
        raise Refused(Outcome.SIGNATURE_EXPIRED)
    return partner_id
