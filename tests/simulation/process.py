"""A process that can die at any step: everything that it does to the outside goes by here first."""

from collections.abc import Callable


class Died(BaseException):
    """The process is no more; nothing that it still tries has any effect."""


class Process:
    """One life of the bridge."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note
        self.dead = False
        self._ends_before = ""
        self._left: int | None = None

    def die(self, before: str, left: int) -> None:
        """It dies before a step whose name begins so, once it has taken so many of them."""
        self._ends_before, self._left = before, left

    def step(self, what: str) -> None:
        """It is about to do something to the outside.

        Raises:
            Died: It does not come to that.
        """
        if self.dead:
            raise Died
        if self._left is None or not what.startswith(self._ends_before):
            return
        self._left -= 1
        if self._left < 0:
            self.dead = True
            self._note("died", before=what)
            raise Died
