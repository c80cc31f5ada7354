"""A ledger that changes right after it was looked at, as another thread of the process may change it."""

from collections.abc import Callable

from bridge.audience.audience import Audience
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState


class ChangingLedger(Ledger):
    """As any ledger; `meanwhile` happens once, when the audiences were just asked for."""

    meanwhile: Callable[[], object] | None = None

    def audiences(self, account: str | None = None) -> dict[Audience, AudienceState]:
        found = super().audiences(account)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return found
