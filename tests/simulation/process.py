"""A process that can die at any step: everything that it does to the outside goes by here first."""

from collections.abc import Callable


class Died(BaseException):
    """The process is no more; nothing that it still tries has any effect."""


class Process:
    """One life of the bridge."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note
        self.dead = False
        self.steps = 0
        """How many steps it has taken on the outside."""
        self._last: int | None = None

    def die_after(self, steps: int) -> None:
        """It takes so many further steps, and dies before the next."""
        self._last = self.steps + steps

    def step(self, what: str) -> None:
        """It is about to do something to the outside.

        Raises:
            Died: It does not come to that.
        """
        if self.dead:
            raise Died
        self.steps += 1
        if self._last is not None and self.steps > self._last:
            self.dead = True
            self._note("died", before=what)
            raise Died
