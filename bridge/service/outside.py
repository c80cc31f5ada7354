"""What is outside the process, behind its ports. A simulation brings its own."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.calls import Calls, ThreadedCalls
from bridge.clock import Clock
from bridge.config import Account, Config
from bridge.deliver.ledger import Ledger
from bridge.deliver.remote import Remote
from bridge.deliver.sftp import SftpRemote
from bridge.ingest.clients import Clients
from bridge.platform.segments import taxonomies
from bridge.service.taxonomies import PlatformTaxonomy
from bridge.spool.disk import Disk
from bridge.topic_ids import TopicIds


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """The ports that all parts share."""

    clock: Clock
    """What time it is."""
    remote: Callable[[Account], Remote]
    """Where an account's files go."""
    topic_ids: TopicIds | None = None
    """Who the cluster and its topics are; None: the brokers tell."""
    kafka: Clients = field(default_factory=Clients)
    """Talks to the brokers."""
    disk: Disk = field(default_factory=Disk)
    """Where the spool is."""
    ledger: type[Ledger] = Ledger
    """What was delivered and spent."""
    calls: Calls = field(default_factory=ThreadedCalls)
    """Makes calls that may take long."""
    taxonomy: PlatformTaxonomy | None = None
    """Reads taxonomies of the platform's; None: there is nobody to ask."""


def over_sftp(config: Config, clock: Clock) -> Outside:
    """The real outside: files go by SFTP, and taxonomies come from the platform."""
    return Outside(
        clock=clock,
        remote=lambda account: SftpRemote(account.sftp, clock),
        taxonomy=taxonomies(config, clock),
    )
