"""The bars: what the bridge is to reach, as ratios to its peers of the same round."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.result import Result

Round = Mapping[str, Result]
Measure = Callable[[Round], float]

INGEST_RATE = 350_000
INGEST_SHARE = 0.45
PEAK = 800e6


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One of them."""

    name: str
    goal: str
    measured: str
    met: bool


def bars(rounds: Sequence[Round]) -> list[Bar]:
    """Those whose peers ran."""
    ran = rounds[0]
    if "bridge" not in ran:
        return []
    found = [
        _at_least(
            rounds, f"end to end / {ran[peer].name}", goal, lambda one, peer=peer: _end_to_end(one, peer)
        )
        for peer, goal in (("kcat", 1.0), ("kcat-large", 0.5), ("obvious", 7.0))
        if peer in ran
    ]
    return [*found, _ingest(rounds), _peak(rounds)]


def table(found: Sequence[Bar]) -> str:
    """Markdown."""
    lines = ["| | to reach | measured | met |", "|---|---|---|---|"]
    lines += [f"| {bar.name} | {bar.goal} | {bar.measured} | {'yes' if bar.met else 'no'} |" for bar in found]
    return "\n".join(lines)


def _end_to_end(one: Round, peer: str) -> float:
    return one["bridge"].rate / one[peer].rate


def _at_least(rounds: Sequence[Round], name: str, goal: float, measure: Measure) -> Bar:
    measured = median(map(measure, rounds))
    return Bar(name=name, goal=f"at least {goal}", measured=f"{measured:.2f}", met=measured >= goal)


def _ingest(rounds: Sequence[Round]) -> Bar:
    """Reached by the rate, or by the share of what reading alone does in Python as it is by default."""
    rate = median(one["bridge"].ingest_rate for one in rounds)
    goal, measured, met = f"{INGEST_RATE:,}/s", f"{rate:,.0f}/s", rate >= INGEST_RATE
    if "bare" in rounds[0]:
        share = median(one["bridge"].ingest_rate / one["bare"].rate for one in rounds)
        goal += f", or {INGEST_SHARE} of consume() alone"
        measured += f", {share:.2f}"
        met = met or share >= INGEST_SHARE
    return Bar(name="ingest alone", goal=f"at least {goal}", measured=measured, met=met)


def _peak(rounds: Sequence[Round]) -> Bar:
    """The highest of all rounds."""
    peak = max(one["bridge"].usage.peak for one in rounds)
    return Bar(
        name="peak memory",
        goal=f"below {PEAK / 1e6:.0f} MB",
        measured=f"{peak / 1e6:.0f} MB",
        met=peak < PEAK,
    )
