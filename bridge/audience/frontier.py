"""How far an audience is delivered: for every user the newest run whose rows were sent.

A large delivery is cut into parts, each with all the runs there are by then, so that users at the start
of the order may be delivered up to an older run than the users after them (design.md, invariant 7).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Step:
    """Users from `start` (a `rows.user_key`, inclusive; empty: the first) on are delivered up to `run`."""

    start: str
    run: int


@dataclass(frozen=True, slots=True)
class Frontier:
    """Steps by ascending start; the first starts at ""; neighbours differ in their run."""

    steps: tuple[Step, ...] = (Step("", 0),)

    @property
    def lowest(self) -> int:
        """Every row of a run up to this one is delivered."""
        return min(step.run for step in self.steps)

    @property
    def highest(self) -> int:
        """No row of a run above this one is delivered."""
        return max(step.run for step in self.steps)

    def at(self, user: str) -> int:
        """The newest run delivered for this user."""
        return max((step for step in self.steps if step.start <= user), key=lambda step: step.start).run

    def lowest_of(self, first: str, last: str) -> int:
        """Every row of a run up to this one is delivered, of the users from `first` to `last` inclusive."""
        return min([self.at(first), *(step.run for step in self.steps if first < step.start <= last)])

    def advance(self, start: str, stop: str | None, run: int) -> Self:
        """Users from `start` up to but without `stop` (None: to the last) are delivered up to `run`.

        Raises:
            ValueError: The range holds no user: `stop` is not above `start`.
        """
        return self._with(start, stop, lambda _: run)

    def rewind(self, start: str, stop: str | None, run: int) -> Self:
        """Users from `start` up to but without `stop` (None: to the last) are delivered up to `run` at most.

        Raises:
            ValueError: The range holds no user: `stop` is not above `start`.
        """
        return self._with(start, stop, lambda delivered: min(delivered, run))

    def _with(self, start: str, stop: str | None, run: Callable[[int], int]) -> Self:
        """The same but for users from `start` up to but without `stop`, whose run becomes `run` of theirs."""
        if stop is not None and stop <= start:
            raise ValueError("a part of a delivery ends at or before its start")  # names no user id
        ends = {start} if stop is None else {start, stop}
        steps: list[Step] = []
        for at in sorted(ends | {step.start for step in self.steps}):
            inside = at >= start and (stop is None or at < stop)
            delivered = run(self.at(at)) if inside else self.at(at)
            if not steps or steps[-1].run != delivered:
                steps.append(Step(at, delivered))
        return type(self)(tuple(steps))

    def to_json(self) -> list[list[str | int]]:
        """Pairs of start and run."""
        return [[step.start, step.run] for step in self.steps]

    @classmethod
    def from_json(cls, pairs: list[list[str | int]]) -> Self:
        """Inverse of `to_json`."""
        return cls(tuple(Step(str(start), int(run)) for start, run in pairs))
