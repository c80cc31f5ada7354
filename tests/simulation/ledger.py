"""A ledger whose transactions fail when they are told to, and in which a process can die."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bridge.deliver.database import Database
from bridge.deliver.ledger import Ledger
from tests.simulation.process import Process

Fault = Callable[[], str | None]
"""`begin` (nothing is done), `unknown` (it is durable, and nobody knows), or None."""


def failing_ledger(process: Process, fault: Fault) -> type[Ledger]:
    """The class of a process's ledger."""

    class SimulatedDatabase(Database):
        @contextmanager
        def transaction(self) -> Iterator[sqlite3.Connection]:
            process.step("ledger begin")
            kind = fault()
            with self._failing_closed():
                if kind == "begin":
                    raise sqlite3.OperationalError("simulated: disk I/O error")
                with super().transaction() as connection:
                    yield connection
                    process.step("ledger commit")
                process.step("ledger committed")
                if kind == "unknown":
                    raise sqlite3.OperationalError("simulated: disk I/O error after the commit")

    class SimulatedLedger(Ledger):
        database = SimulatedDatabase

    return SimulatedLedger
