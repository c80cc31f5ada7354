"""What it costs that events carry a partner's ids: an hour's file by MM UUIDs, and by ids to be translated.

The identity table has many more mappings than the hour has users, all of whom are known. Both ways go from
sealed windows to the file that has arrived, turn about; the windows are sealed before. No Kafka.
From the root: python -m bench.translating
"""

from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from bench import report
from bench.delivering import Site, site
from bench.hours import Hour, hours
from bench.identity import Timed, ids, in_child
from bench.report import Bar
from bench.scene import temporary
from bridge.clock import SystemClock
from bridge.sync.table.snapshot import Snapshot
from bridge.sync.table.table import Table
from bridge.translation.progress import Progress
from bridge.translation.translator import carry_out
from bridge.translation.turn import Turn

LEAST = 0.7  # of the rate without translation


def translate(place: Site, snapshot: Snapshot) -> None:
    """One turn; without rows it tells that nobody has opted out so far, which the first one looks up."""
    runs, now = place.spool.runs(), place.clock.now()
    turn = Turn(runs=runs, snapshot=snapshot, done=Progress.of(runs), known={}, now=now)
    for told in carry_out(turn, place.spool, place.clock.now, lambda: None).values():
        if told.unmatched:
            raise SystemExit(f"bench: {told.unmatched} were not found")


def rounds(
    count: int, given: list[Hour], users: np.ndarray, partners: pl.Series, snapshot: Snapshot
) -> dict[str, list[dict[str, float]]]:
    """Of each way and each part of it, what every round took."""
    taken: dict[str, list[dict[str, float]]] = {"by MM UUID": [], "translate": [], "then deliver": []}
    for number in range(count):
        for own in (None, partners):
            with site(users) as place:
                translate(place, snapshot)
                place.seal(0, given[number], own)
                turn, delivery = Timed(), Timed()
                if own is not None:
                    with turn:
                        translate(place, snapshot)
                    taken["translate"].append(vars(turn))
                with delivery:
                    place.deliver()
                taken["by MM UUID" if own is None else "then deliver"].append(vars(delivery))
    return taken


def main() -> None:
    options = report.arguments(
        __doc__,
        mappings=(10_000_000, "mappings in the table"),
        events=(1_500_000, "events of the hour"),
        users=(1_000_000, "users that they are of"),
        rounds=(3, "of both ways"),
    ).parse_args()
    users, made = hours(options.events, options.users, options.seed)
    given = list(islice(made, options.rounds))
    partners = ids(0, options.users)
    with temporary() as folder:
        in_child("build", folder / "table", options.mappings, options.seed)
        with Table.open(Path(folder / "table"), clock=SystemClock()) as table:
            taken = rounds(options.rounds, given, users, partners, table.snapshot())
    rows = [
        [name, *(f"{median(one[unit] for one in each):.2f}" for unit in ("seconds", "processor"))]
        for name, each in taken.items()
    ]
    memberships = len(given[0].user)
    print(f"{memberships:,} memberships, {options.mappings:,} mappings; {report.processor()}\n")
    print(report.table(["", "seconds", "processor s"], rows), end="\n\n")
    bars = [judged(unit, taken) for unit in ("seconds", "processor")]
    print(report.verdict(bars))
    report.save("translating", report.destination(options), {"machine": report.processor(), **taken}, bars)


def judged(unit: str, taken: dict[str, list[dict[str, float]]]) -> Bar:
    """The rate with translation, in parts of that without."""
    plain = [one[unit] for one in taken["by MM UUID"]]
    translated = [
        first[unit] + then[unit]
        for first, then in zip(taken["translate"], taken["then deliver"], strict=True)
    ]
    share = median(one / other for one, other in zip(plain, translated, strict=True))
    return Bar(name=f"rate, by {unit}", goal=f"{LEAST}", measured=f"{share:.2f}", met=share >= LEAST)


if __name__ == "__main__":
    main()
