"""Applying a plan: look, post the whole, look again (seed: the 3-step process), and say what is known.

There is no idempotency key, and an update is taken in some time after its answer (domain.md). So what was
posted is believed when the platform shows it; and a taxonomy is created only where none has its name.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from bridge.backoff import growing
from bridge.clock import SECOND, Clock
from bridge.errors import BridgeError
from bridge.platform.api import CallFailed, Outcome
from bridge.platform.plan import Basis, Plan, planned
from bridge.platform.segments import Held, Platform
from bridge.taxonomy import Difference, Path, unknown_ids

LONGEST_PAUSE = 5 * SECOND
"""Between two looks; ms."""

Strangers: TypeAlias = tuple[tuple[Path, int], ...]


class NotApplied(BridgeError):  # noqa: N818  # it says what happened
    """Certainly nothing was changed; the message says why."""


class Verdict(StrEnum):
    """What is known of a plan that was posted."""

    DONE = "done"
    """The platform shows it."""
    DIFFERENT = "different"
    """It shows neither that nor what was there before."""
    NOT_SHOWN = "not_shown"
    """It shows what was there before: it has not been done, or not yet."""
    NOT_KNOWN = "not_known"
    """It could not be looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What became of a plan."""

    verdict: Verdict
    taxonomy_id: int | None
    """None: it is not known."""
    missing: Difference = field(default_factory=Difference)
    """What would have to be changed still, where it is DIFFERENT."""
    strangers: Strangers = ()
    """Nodes that lost their ids there."""
    lost: str = ""
    """Why the answer to the post is not known; empty: it was taken."""
    unseen: str = ""
    """Why it could not be looked at."""


def found(platform: Platform, name: str) -> int | None:
    """The taxonomy of this name; None: there is certainly none.

    Raises:
        CallFailed: It is not known.
        BridgeError: There are several, or the platform told of some in a way that is not known here.
    """
    listing = platform.list(name=name)
    ids = [one.id for one in listing.taxonomies]
    if len(ids) > 1:
        raise BridgeError(f"taxonomies {', '.join(map(str, ids))} have this name; say which with --id")
    if not ids and not listing.whole:
        raise BridgeError("the platform's list is not whole, so this may exist already; say which with --id")
    return ids[0] if ids else None


def apply(
    plan: Plan,
    platform: Platform,
    clock: Clock,
    *,
    settling: int,
    stop: threading.Event | None = None,
) -> Applied:
    """Post the plan, once, if the platform is as it was planned on.

    Args:
        plan: What to post.
        platform: Where to.
        clock: Whose time is waited.
        settling: How long the platform is looked at until it shows what was posted; ms.
        stop: Once it is set, it is looked at no more.

    Raises:
        NotApplied: It is not, or it refuses, or it could not be asked.
    """
    try:
        _look_before(plan, platform)
        taxonomy_id, lost = _post(plan, platform)
    except CallFailed as failure:
        raise NotApplied(f"nothing was changed: {failure}") from None
    watch = _Watch(plan, platform, taxonomy_id)
    for _ in _looks(clock, stop or threading.Event(), settling):
        if watch.look():
            break
    return watch.told(lost)


def _look_before(plan: Plan, platform: Platform) -> None:
    if plan.taxonomy_id is None:
        there = found(platform, plan.name)
        if there is not None:
            raise NotApplied(f"nothing was changed: taxonomy {there} has this name by now; plan again")
    elif Basis.of(platform.get(plan.taxonomy_id)) != plan.basis:
        raise NotApplied(
            f"nothing was changed: taxonomy {plan.taxonomy_id} is another than it was planned on; plan again"
        )


def _post(plan: Plan, platform: Platform) -> tuple[int | None, str]:
    """The taxonomy's id where it is known, and why the answer was lost."""
    try:
        if plan.taxonomy_id is None:
            return platform.create(plan.wanted), ""
        platform.update(plan.wanted)
    except CallFailed as failure:
        if failure.outcome is not Outcome.UNKNOWN:
            raise
        return plan.taxonomy_id, str(failure)
    return plan.taxonomy_id, ""


class _Watch:
    """Looks at the platform until it shows the plan."""

    def __init__(self, plan: Plan, platform: Platform, taxonomy_id: int | None) -> None:
        self._plan = plan
        self._platform = platform
        self._id = taxonomy_id
        self._looked = False
        self._held: Held | None = None
        self._unseen = ""

    def look(self) -> bool:
        """Look once; whether all is as it should be."""
        self._unseen = ""
        try:
            if self._id is None:
                self._id = next(
                    (one.id for one in self._platform.list(name=self._plan.name).taxonomies), None
                )
            self._held = None if self._id is None else self._platform.get(self._id)
        except BridgeError as failure:
            self._unseen = str(failure)
            return False
        self._looked = True
        return self._held is not None and not self._missing(self._held) and not self._strangers(self._held)

    def told(self, lost: str) -> Applied:
        """What is known after the last look."""
        held = self._held
        if not self._looked or self._unseen:
            return Applied(verdict=Verdict.NOT_KNOWN, taxonomy_id=self._id, lost=lost, unseen=self._unseen)
        if held is None or Basis.of(held) == self._plan.basis:
            return Applied(verdict=Verdict.NOT_SHOWN, taxonomy_id=self._id, lost=lost)
        missing, strangers = self._missing(held), self._strangers(held)
        return Applied(
            verdict=Verdict.DIFFERENT if missing or strangers else Verdict.DONE,
            taxonomy_id=self._id,
            missing=missing,
            strangers=strangers,
            lost=lost,
        )

    def _missing(self, held: Held) -> Difference:
        wanted = self._plan.wanted
        if self._plan.taxonomy_id is None:
            wanted = replace(wanted, description=None)  # no part of a creation, so nobody waits for it
        return planned(held, wanted, 0).difference

    def _strangers(self, held: Held) -> Strangers:
        return unknown_ids(held.taxonomy, self._plan.wanted)


def _looks(clock: Clock, stop: threading.Event, settling: int) -> Iterator[int]:
    """Yields when to look: at once, then with growing pauses, until it has been long enough."""
    until = clock.elapsed() + settling
    number = 1
    while True:
        yield number
        rest = until - clock.elapsed()
        if rest <= 0 or clock.wait(stop, min(rest, growing(number, longest=LONGEST_PAUSE))):
            return
        number += 1
