"""The threads of a process, and what they ended with."""

from collections.abc import Callable
from threading import Event, Thread

import structlog

from bridge.spool.run import RunDamaged

log = structlog.get_logger()


def _nobody(_name: str) -> None:
    """Nobody is told."""


class Threads:
    """Starts threads; what one fails with is kept for the main thread."""

    def __init__(
        self,
        started: Callable[[str], None] = _nobody,
        ended: Callable[[str], None] = _nobody,
        stopped: Callable[[str], None] = _nobody,
    ) -> None:
        """All are told a thread's name: before its work, when that is done, where its account stops."""
        self._started = started
        self._ended = ended
        self._stopped = stopped
        self._all: list[Thread] = []
        self.changed = Event()
        """Set whenever a thread has ended."""
        self.failures: list[BaseException] = []
        """What must end the process."""
        self.damages: list[RunDamaged] = []
        """What has stopped one account alone."""

    def start(self, name: str, work: Callable[[], None], *, account: str | None = None) -> Thread:
        """A thread of this name, which does not keep the process from ending.

        `account`: the one that it works for; None: for all.
        """

        def guarded() -> None:
            try:
                work()
                self._ended(name)
            except RunDamaged as damage:
                log.error("account_stopped", account=account, thread=name, reason=str(damage))
                if account is not None:  # else nothing works without it: its silence is to be seen
                    self._stopped(name)
                self.damages.append(damage)
            except BaseException as failure:  # noqa: BLE001  # a panic of a library too; it ends the process
                self.failures.append(failure)
            finally:
                self.changed.set()

        thread = Thread(target=guarded, name=name, daemon=True)
        self._started(name)
        self._all.append(thread)
        thread.start()
        return thread

    @property
    def alive(self) -> frozenset[str]:
        """Names of the threads that work."""
        return frozenset(thread.name for thread in self._all if thread.is_alive())

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a thread has ended."""
        self.changed.wait(seconds)
        self.changed.clear()

    def raise_first(self) -> None:
        """Raise what a thread failed with, if one did."""
        for failure in [*self.failures, *self.damages]:
            raise failure
