"""What the metrics tell before anything happens: settings, and counters that begin at 0.

A counter that comes into being with its first step shows none: `increase` compares it with nothing.
"""

from importlib.metadata import version

from bridge.clock import Clock
from bridge.config import Config
from bridge.deliver.remote import Reason as Failure
from bridge.ingest.events import Reason as Refusal
from bridge.observe.metrics import Metrics


def expect(metrics: Metrics, config: Config, clock: Clock) -> None:
    """Tell them of all that the configuration names."""
    metrics.settings.tell(config, version=version("s2s-bridge"), started_at=clock.now())
    watched = [stream.name for stream in config.streams if stream.taxonomy is not None]
    metrics.ingest.expect([stream.name for stream in config.streams], Refusal, watched)
    audiences = {audience.label for stream in config.streams for audience in stream.audiences()}
    metrics.reconcile.expect([account.name for account in config.accounts if account.platform.processing_log])
    metrics.translation.expect([stream.name for stream in config.streams if stream.identify is not None])
    metrics.deliver.expect([account.name for account in config.accounts], Failure, audiences)
