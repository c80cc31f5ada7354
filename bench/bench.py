"""The bridge and its peers on the same topic, round by round: prints two tables and draws the chart.

A round runs each of them once, so that a slow minute of the machine does not fall on one alone; the first
table has the medians, the second the medians of the ratios within rounds.
From the root: python -m bench.bench
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import bars, chart
from bench.peers import PEERS, missing
from bench.result import Load, Result, middle
from bench.scene import RESULTS, bridge, broker, loaded, machine, save

PROGRAMS = PEERS | {"bridge": bridge}


def measured(names: Sequence[str], load: Load, rounds: int) -> tuple[list[dict[str, Result]], int]:
    """Each round's results, and the topic's bytes."""
    found = []
    with broker() as kafka, loaded(kafka, load) as size:
        for number in range(1, rounds + 1):
            found.append({})
            for name in names:
                result = PROGRAMS[name](kafka, load)
                found[-1][name] = result
                print(f"round {number}: {result.name} {result.rate:,.0f} events/s", file=sys.stderr)
    return found, size


def table(medians: dict[str, tuple[str, dict[str, float | None]]]) -> str:
    """Markdown, a line a program; the bridge's ingest alone has a line of its own."""
    lines = [
        "| | seconds | events/s | whole process s | CPU s | peak MB | file MB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, each in medians.values():
        whole = f"{each['whole_seconds']:.1f} | {each['cpu_seconds']:.1f}"
        sizes = f"{each['peak_bytes'] / 1e6:,.0f} | {each['file_bytes'] / 1e6:.1f}"
        lines.append(f"| {name} | {each['seconds']:.1f} | {each['rate']:,.0f} | {whole} | {sizes} |")
        if each["ingest_seconds"]:
            rate = f"{each['ingest_seconds']:.1f} | {each['ingest_rate']:,.0f}"
            lines.append(f"| {name}, ingest alone | {rate} | | | | |")
    return "\n".join(lines)


def chosen(only: str) -> list[str]:
    """The programs asked for; what cannot run here is left out, in one line."""
    names = only.split(",")
    if unknown := set(names) - set(PROGRAMS):
        raise SystemExit(f"bench: --only takes {','.join(PROGRAMS)}, not {','.join(sorted(unknown))}")
    for name in names:
        if why := missing(name):
            print(f"bench: {name} is left out: {why}", file=sys.stderr)
    return [name for name in names if not missing(name)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=Load.events)
    parser.add_argument("--users", type=int, default=Load.users)
    parser.add_argument("--seed", type=int, default=Load.seed)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PROGRAMS), help=f"of {','.join(PROGRAMS)}")
    parser.add_argument("--results", type=Path, help="where figures and chart go, if not all of it ran")
    options = parser.parse_args()
    names = chosen(options.only)
    load = Load(events=options.events, users=options.users, seed=options.seed)
    rounds, size = measured(names, load, options.rounds)
    medians = {name: (rounds[0][name].name, middle([one[name] for one in rounds])) for name in names}
    found = bars.bars(rounds)
    facts = f"{load.events:,} events of {size / load.events:.1f} bytes, {load.users:,} users, "
    print(f"{facts}medians of {options.rounds}; {machine()}\n\n{table(medians)}\n\n{bars.table(found)}")
    whole = names == list(PROGRAMS) and load == Load(seed=load.seed)
    if folder := options.results or (RESULTS if whole else None):
        programs = {
            name: {"name": full, "median": each, "rounds": [one[name].figures() for one in rounds]}
            for name, (full, each) in medians.items()
        }
        facts = {"machine": machine(), "load": asdict(load), "topic_bytes": size}
        save("bench", facts | {"programs": programs, "bars": [asdict(bar) for bar in found]}, folder)
        chart.draw(folder)


if __name__ == "__main__":
    main()
