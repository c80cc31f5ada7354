"""The threads of a process, and what they ended with."""

from collections.abc import Callable
from threading import Event, Thread

import structlog

from bridge.spool.run import RunDamaged

log = structlog.get_logger()


class Threads:
    """Starts threads; what one fails with is kept for the main thread."""

    def __init__(self) -> None:
        self.changed = Event()
        """Set whenever a thread has ended."""
        self.failures: list[BaseException] = []
        """What must end the process."""
        self.damages: list[RunDamaged] = []
        """What has stopped one account alone."""

    def start(self, name: str, work: Callable[[], None]) -> Thread:
        """A thread of this name, which does not keep the process from ending."""

        def guarded() -> None:
            try:
                work()
            except RunDamaged as damage:
                log.error("account_stopped", thread=name, reason=str(damage))
                self.damages.append(damage)
            except BaseException as failure:  # noqa: BLE001  # a panic of a library too; it ends the process
                self.failures.append(failure)
            finally:
                self.changed.set()

        thread = Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a thread has ended."""
        self.changed.wait(seconds)
        self.changed.clear()

    def raise_first(self) -> None:
        """Raise what a thread failed with, if one did."""
        for failure in [*self.failures, *self.damages]:
            raise failure
