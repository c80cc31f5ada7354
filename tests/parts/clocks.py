"""Clocks that a test moves by hand."""

import threading


class HandClock:
    """Stands still until it is moved; who waits for it moves it."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        return self._now

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """Nobody else is there to set the signal: the time is over at once."""
        if not signal.is_set():
            self.move(duration)
        return signal.is_set()

    def move(self, duration: int) -> None:
        """So many milliseconds pass."""
        self._now += max(0, duration)

    def move_to(self, now: int) -> None:
        """The time is this one, if it is not later already."""
        self._now = max(self._now, now)


class ShiftedClock:
    """Another clock's time, ahead by `skew` ms (behind, if negative): that of a server."""

    def __init__(self, clock, skew: int) -> None:
        self._clock = clock
        self._skew = skew

    def now(self) -> int:
        """Epoch milliseconds, UTC, of this clock."""
        return self._clock.now() + self._skew

    def wait(self, signal: threading.Event, duration: int) -> bool:
        """As the other clock's."""
        return self._clock.wait(signal, duration)
