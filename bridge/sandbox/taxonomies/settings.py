"""What is asked of the Audience Segments API of a stand-in."""

from dataclasses import dataclass, field
from enum import StrEnum

from bridge.taxonomy import Permissions

BASE_PATH = "/dmp/v2.0"
"""Of the seed's server."""

DAY_SECONDS = 86_400

VENDOR = 1234
GRANTS = Permissions(organizations=(100048,), agencies=(114842, 108108), advertisers=(171177, 141348, 137754))
"""Those of the seed's example."""


class Needs(StrEnum):
    """What a call must bring."""

    BEARER = "bearer"
    COOKIE = "cookie"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True, slots=True)
class Vendor:
    """The data vendor whose credentials these are; by default that of the seed's example."""

    id: int = VENDOR
    grants: Permissions = GRANTS
    """Those whom it may let see its taxonomies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentsSettings:
    """All that can be chosen."""

    base_path: str = BASE_PATH
    vendor: Vendor = field(default_factory=Vendor)
    needs: Needs = Needs.BEARER
    token_seconds: int = DAY_SECONDS
    """How long a token, and a session, is good."""
    requests_per_second: int = 10
    """By the stand-in's clock, in any second; a clock that stands still admits so many in all."""
