"""What a sandbox is asked for."""

from dataclasses import dataclass, field

from bridge.sandbox.limits import Limits
from bridge.sandbox.order import Order
from bridge.sandbox.rules import Rules
from bridge.sandbox.taxonomies.settings import SegmentsSettings

LOG_PATH = "/processing_log"
PAGE_SIZE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int
    """0: any that is free."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All that can be chosen."""

    http: Address
    """Of the page and the APIs."""
    sftp: Address
    rules: Rules
    """Their `account` is the user name that may log in."""
    limits: Limits = field(default_factory=Limits)
    order: Order = field(default_factory=Order)
    control: bool = False
    """Faults on demand, for this machine."""
    log_path: str = LOG_PATH
    """Of the processing log."""
    page_size: int = PAGE_SIZE
    """Files a page of it."""
    segments: SegmentsSettings = field(default_factory=SegmentsSettings)
    """Of the Audience Segments API."""

    @property
    def username(self) -> str:
        """The one that may log in."""
        return self.rules.account
