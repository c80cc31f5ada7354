"""Ends the process where a thread of it will never come back: hung on a disk, a lock, a call into a library.

Such a thread cannot be stopped, and what it holds cannot be taken from it: nothing is closed or given back
in order, as it may go on at any moment. The kernel gives the locks back with the process, not before. What
was not durable is done again: that is what every promise rests on when the process is killed, too.

A call that hangs while it holds the interpreter's lock hangs this watchdog too; then /healthz is silent.
"""

import os
import sys
import threading
from collections.abc import Callable

from bridge.clock import SECOND, Clock
from bridge.observe.health import Health
from bridge.observe.silence import Patience, Silences, given_up, look
from bridge.service.threads import Threads

TELLING = 2.0
"""Seconds that the last line gets to be written: the log may be what hangs."""

_AGAIN = "what was not durable is done again at the next start"


def watched(health: Health, clock: Clock) -> Threads:
    """Threads whose silence counts from their start on until they are through or have stopped."""
    return Threads(
        started=lambda name: health.beat(name, clock.now()), ended=health.ended, stopped=health.stopped
    )


class Watchdog:
    """Looks at the beats of the threads that work, as often as its owner asks it to."""

    def __init__(
        self, threads: Threads, health: Health, clock: Clock, patience: Patience, end: Callable[[str], None]
    ) -> None:
        """`end` is told, in one line, why the process ends, and ends it."""
        self._threads = threads
        self._health = health
        self._clock = clock
        self._patience = patience
        self._end = end
        self._known = Silences()

    def look(self) -> None:
        """End the process where a thread is given up."""
        alive = self._threads.alive
        beats = {thread: beat for thread, beat in self._health.beats.items() if thread in alive}
        self._known = look(self._known, beats, self._clock.now(), self._patience)
        hung = given_up(self._known, self._patience)
        if hung:
            told = ", ".join(f"{thread} for {silent // SECOND} s" for thread, silent in hung.items())
            self._end(f"hung thread, silent: {told}; the process ends, {_AGAIN}; see disk and network")


def unstopped(threads: list[str]) -> str:
    """The line of threads that do not stop in time."""
    return f"{', '.join(threads)} did not stop in time; {_AGAIN}"


def end_at_once(reason: str) -> None:
    """Exit 1 without waiting for anything but, a little, for the line on stderr."""
    teller = threading.Thread(target=_tell, args=(reason,), daemon=True)
    teller.start()
    teller.join(TELLING)
    os._exit(1)


def _tell(reason: str) -> None:
    print(f"s2s-bridge: {reason}", file=sys.stderr, flush=True)  # noqa: T201  # the command's last word
    sys.stdout.flush()
