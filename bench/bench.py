"""The bridge and its peers on the same topic, round by round: prints two tables and draws the chart.

A round runs each of them once, so that a slow minute of the machine does not fall on one alone; the first
table has the medians, the second the medians of the ratios within rounds.
From the root: python -m bench.bench
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from bench import bars, chart, report
from bench.programs import PROGRAMS, missing
from bench.result import Load, Result, middle
from bench.scene import broker, loaded, machine


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


def figures(rounds: list[dict[str, Result]]) -> dict[str, dict[str, object]]:
    """Each program's name in tables, medians and rounds."""
    programs = {}
    for key, result in rounds[0].items():
        results = [one[key] for one in rounds]
        each = [one.figures() for one in results]
        programs[key] = {"name": result.name, "median": middle(results), "rounds": each}
    return programs


def table(programs: Iterable[dict[str, object]]) -> str:
    """A line a program; the bridge's ingest alone has a line of its own."""
    rows = []
    for program in programs:
        name, each = program["name"], program["median"]
        whole = [f"{each['whole_seconds']:.1f}", f"{each['cpu_seconds']:.1f}"]
        sizes = [f"{each['peak_bytes'] / 1e6:,.0f}", f"{each['file_bytes'] / 1e6:.1f}"]
        rows.append([name, f"{each['seconds']:.1f}", f"{each['rate']:,.0f}", *whole, *sizes])
        if each["ingest_seconds"]:
            rate = [f"{each['ingest_seconds']:.1f}", f"{each['ingest_rate']:,.0f}"]
            rows.append([f"{name}, ingest alone", *rate, "", "", "", ""])
    return report.table(["", "seconds", "events/s", "whole process s", "CPU s", "peak MB", "file MB"], rows)


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
    parser = report.arguments(
        __doc__, events=(Load.events, "events in the topic"), users=(Load.users, "users that they are of")
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each program runs (3)")
    parser.add_argument(
        "--only", default=",".join(PROGRAMS), help=f"some of these (all): {','.join(PROGRAMS)}"
    )
    options = parser.parse_args()
    names = chosen(options.only)
    load = Load(events=options.events, users=options.users, seed=options.seed)
    rounds, size = measured(names, load, options.rounds)
    found, programs = bars.beside_peers(rounds), figures(rounds)
    facts = f"{load.events:,} events of {size / load.events:.1f} bytes, {load.users:,} users"
    print(f"{facts}, medians of {options.rounds}; {machine()}\n")
    print(f"{table(programs.values())}\n\n{report.verdict(found)}")
    complete = names == list(PROGRAMS)
    folder = report.destination(options) if complete else options.results
    if folder:
        facts = {"machine": machine(), "load": asdict(load), "topic_bytes": size}
        report.save("bench", folder, facts | {"programs": programs}, found)
        chart.draw(folder)


if __name__ == "__main__":
    main()
