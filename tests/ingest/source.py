"""A Kafka source on a simulated cluster, polled by hand."""

from bridge.calls import ThreadedCalls
from bridge.ingest.cluster import LastingAdmin
from bridge.ingest.kafka import KafkaParts, KafkaSource
from bridge.ingest.starts import Starts
from bridge.ingest.topics import Topics
from tests.parts.clocks import HandClock
from tests.parts.collecting import stream
from tests.simulation.broker import Admin, Consumer
from tests.simulation.process import Process


class Nobody:
    """An owner that does nothing."""

    def started(self, starts):
        pass

    def revoked(self, partitions):
        pass

    def lost(self, partitions):
        pass


def source_of(cluster, *topics, consumer=Consumer, **more):
    """A source of these topics; `more` goes into its KafkaParts."""
    process = Process(lambda *_: None)
    return KafkaSource(
        KafkaParts(
            **{
                "settings": {},
                "group": "g",
                "topics": Topics((stream(topics=topics),)),
                "starts": Starts(
                    spool="spool",
                    group="g",
                    runs=tuple,
                    ids=cluster,
                    admin=LastingAdmin(lambda: Admin(cluster)),
                    adopt=False,
                ),
                "clock": HandClock(0),
                "sleep": lambda _: None,
                "until_end": False,
                "consumer": lambda properties: consumer(properties, cluster, process),
                "calls": ThreadedCalls(),
            }
            | more
        ),
        Nobody(),
    )
