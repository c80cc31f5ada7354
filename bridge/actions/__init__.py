"""The log's actions: a closed list, by the room that tells them (docs/logging.md is made from it).

Who logs writes the name as a literal, with exactly the fields that are declared here; a test holds every call
of bridge/ against this list, and this list against the calls. Nothing here is imported to log.
"""

from collections.abc import Mapping

from bridge.actions import deliver, ingest, process, reconcile, replay, spool, sync, sync_table
from bridge.actions.action import Action, Level

__all__ = ["ROOMS", "Action", "Level", "declared"]

ROOMS: Mapping[str, tuple[Action, ...]] = {
    "The process": process.ACTIONS,
    "Ingest": ingest.ACTIONS,
    "The spool": spool.ACTIONS,
    "Delivery": deliver.ACTIONS,
    "The platform's word": reconcile.ACTIONS,
    "Replays": replay.ACTIONS,
    "User sync": sync.ACTIONS,
    "The identity table": sync_table.ACTIONS,
}
"""Every action, in the order in which data goes through the rooms."""


def declared() -> Mapping[str, Action]:
    """Every action by its name."""
    return {action.name: action for actions in ROOMS.values() for action in actions}
