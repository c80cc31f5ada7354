"""What the bridge is to reach beside its peers, as ratios within a round, where both had the same machine."""

from collections.abc import Mapping, Sequence
from statistics import median

from bench.report import Bar
from bench.result import Result

Round = Mapping[str, Result]

PEERS = {"kcat": 1.0, "kcat-large": 0.5, "obvious": 7.0}  # end to end, the bridge's rate to theirs
INGEST_RATE = 350_000  # events a second
INGEST_SHARE = 0.45  # of what reading alone does
PEAK = 800e6  # bytes
REPLAY = 0.8  # of the bridge's rate end to end
FALL = 0.2  # of a rate along a row of the growth bench


def beside_peers(rounds: Sequence[Round]) -> list[Bar]:
    """Those whose peers ran."""
    ran = rounds[0]
    if "bridge" not in ran:
        return []
    found = [_at_least(rounds, peer, goal) for peer, goal in PEERS.items() if peer in ran]
    found += [_replay(rounds, one) for one in ("replay", "replay-history") if one in ran]
    return [*found, _ingest(rounds), _peak(rounds)]


def _at_least(rounds: Sequence[Round], peer: str, goal: float) -> Bar:
    measured = median(one["bridge"].rate / one[peer].rate for one in rounds)
    return Bar(
        name=f"end to end / {rounds[0][peer].name}",
        goal=f"at least {goal}",
        measured=f"{measured:.2f}",
        met=measured >= goal,
    )


def _replay(rounds: Sequence[Round], program: str) -> Bar:
    measured = median(one[program].rate / one["bridge"].rate for one in rounds)
    return Bar(
        name=f"{rounds[0][program].name} / run",
        goal=f"at least {REPLAY}",
        measured=f"{measured:.2f}",
        met=measured >= REPLAY,
    )


def _ingest(rounds: Sequence[Round]) -> Bar:
    """Reached by the rate, or by the share of what reading alone does in Python as it is by default."""
    rate = median(one["bridge"].ingest_rate for one in rounds)
    goal, measured, met = f"at least {INGEST_RATE:,}/s", f"{rate:,.0f}/s", rate >= INGEST_RATE
    if "bare" in rounds[0]:
        share = median(one["bridge"].ingest_rate / one["bare"].rate for one in rounds)
        goal += f", or {INGEST_SHARE} of consume() alone"
        measured += f", {share:.2f}"
        met = met or share >= INGEST_SHARE
    return Bar(name="ingest alone", goal=goal, measured=measured, met=met)


def _peak(rounds: Sequence[Round]) -> Bar:
    """The highest of all rounds, of replays too."""
    own = ("bridge", "replay", "replay-history")
    peak = max(one[program].usage.peak for one in rounds for program in own if program in one)
    goal, measured = f"below {PEAK / 1e6:.0f} MB", f"{peak / 1e6:.0f} MB"
    return Bar(name="peak memory", goal=goal, measured=measured, met=peak < PEAK)
