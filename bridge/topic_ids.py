"""The port that says which cluster and which topics these are: names alone do not."""

from collections.abc import Iterable
from typing import Protocol


class TopicIds(Protocol):
    """Who the cluster and its topics are, whatever they are called (design.md, invariant 3).

    Contract: both raise KafkaException where no broker answers, or there is no such topic; the caller tries
    again.
    """

    def cluster_id(self) -> str:
        """Id of the cluster."""
        ...

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """The id of each of these topics; a topic made anew under an old name has another one."""
        ...
