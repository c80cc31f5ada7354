"""The oracle of the failure matrix, asked about a soak that is over and drained."""

import contextlib
import hashlib
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.parts import oracle
from tests.parts.bridging import dead_letters
from tests.soak import aside
from tests.soak.feed import MARK
from tests.soak.flat import Course
from tests.soak.keeper import Life
from tests.soak.platform import Arrival
from tests.soak.samples import UUID
from tests.soak.site import AMPLE, Site
from tests.soak.truth import Truth

HOUR = 3600

MOST = 3
"""Faults of a kind that are told."""

STOPPING = 26.0
"""Seconds that a stop in order may take."""

STARTING = 10.0
"""Seconds in which a process may not yet catch a signal: it is loading its libraries."""


AT_ONCE = 128 + 15
"""How it ends when it is told to stop a second time."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an invariant came to."""

    invariant: str
    said: str
    """What was seen, for people."""
    faults: tuple[str, ...]
    """Empty: it holds."""


def finding(invariant: str, said: str, faults: Sequence[str]) -> Finding:
    more = len(faults) - MOST
    told = (*faults[:MOST], *([f"and {more} more"] if more > 0 else []))
    return Finding(invariant=invariant, said=said, faults=told)


def nothing_lost(site: Site, truth: Truth) -> Finding:
    """I1, and with it I8: the files in order of arrival say what all accepted events say.

    Where the last write of a membership was set aside, they cannot.
    """
    arrivals, unsent = site.platform.arrivals, aside.read(site.spool)
    state, want = oracle.fold(_whole(arrivals)), truth.state(unsent)
    last = aside.excuse(want, state, truth.events, unsent)
    faults = oracle.same(state, want, most=len(truth.events))
    memberships = sum(len(segments) for users in state.values() for segments in users.values())
    said = f"{len(truth.events)} events, {len(arrivals)} files, {memberships} memberships"
    return finding("I1, I8 nothing lost", f"{said}, {len(unsent)} set aside, {last} the last word", faults)


def refused(site: Site, truth: Truth) -> Finding:
    """I1: what was no event is in the dead letters, once and with its reason, and nothing else is."""
    letters = dead_letters(site.config)
    found = Counter((one["topic"], one["partition"], one["offset"], one["reason"]) for one in letters)
    wanted = Counter((*place, reason) for place, reason in truth.refused.items())
    faults = [f"too many: {one}" for one in found - wanted] + [f"missing: {one}" for one in wanted - found]
    return finding("I1 dead letters", f"{len(letters)} letters", faults)


def durable(looks: int, faults: Sequence[str]) -> Finding:
    """I2: no commit was ahead of what is durable; it was looked at least once."""
    return finding("I2 durable", f"{looks} looks", faults if looks else ["it could never be looked at"])


def ledger_agrees(site: Site) -> Finding:
    """I3: what the ledger calls uploaded has arrived with that hash, and nothing else has."""
    rows = _ledger(site, "SELECT name, state, sha256 FROM files")
    arrived = {one.name: one.sha256 for one in site.platform.arrivals}
    uploaded = {name: sha256 for name, state, sha256 in rows if state == "uploaded"}
    faults = [f"{name} is called uploaded and is not there" for name in uploaded.keys() - arrived.keys()]
    faults += [f"{name} is there and not called uploaded" for name in arrived.keys() - uploaded.keys()]
    faults += [
        f"{name} is not what was built"
        for name in uploaded.keys() & arrived.keys()
        if arrived[name] != uploaded[name]
    ]
    return finding("I3 ledger", f"{len(uploaded)} files uploaded", faults)


def quotas(site: Site, raised_at: float) -> Finding:
    """I4, until the small quota was raised: by what the server saw, and by what the ledger counts as spent.

    The server may count a file by the hour in which it was opened, written to its end, or given its name.
    """
    faults, said = [], []
    arrivals = [one for one in site.platform.arrivals if one.at < raised_at]
    for account, limit in (("main", AMPLE), ("tight", site.few)):
        own = [one for one in arrivals if one.account == account]
        opened = [
            at for (whose, _), at in site.platform.opened.items() if whose == account and at < raised_at
        ]
        spent = [started for started in _attempts(site, account) if started < raised_at]
        ways = {
            "opened": opened,
            "written": [one.mtime for one in own],
            "arrived": [one.at for one in own],
            "attempted": spent,
        }
        for way, times in ways.items():
            most = max(Counter(int(at) // HOUR for at in times).values(), default=0)
            faults += [f"{account}: {most} files {way} in an hour, of {limit}"] if most > limit else []
        faults += [f"{account}: {len(own)} files, {len(spent)} attempts"] if len(spent) < len(own) else []
        said.append(f"{account} {len(own)} files, {len(opened)} opened, {len(spent)} attempts, of {limit}")
    return finding("I4 quotas", "; ".join(said), faults)


def files_keep_the_rules(arrivals: Sequence[Arrival]) -> Finding:
    """I5, I6, I7: each is whole when it has its name, keeps the rules, and never changes."""
    return finding("I5, I6, I7 files", f"{sum(one.size for one in arrivals)} bytes", list(_broken(arrivals)))


def _whole(arrivals: Sequence[Arrival]) -> Iterator[oracle.AudienceFile]:
    """Those that can be read; `files_keep_the_rules` tells of the others."""
    for one in arrivals:
        with contextlib.suppress(oracle.FaultError, zlib.error):
            yield oracle.read(one.copy)


def _broken(arrivals: Sequence[Arrival]) -> Iterator[str]:
    known: dict[str, str] = {}
    for one in arrivals:
        try:
            oracle.read(one.copy)
        except (oracle.FaultError, zlib.error) as fault:
            yield f"{one.name} at arrival: {fault}"
        if known.setdefault(one.name, one.sha256) != one.sha256:
            yield f"{one.name} has two contents"
        if hashlib.sha256(one.taken.read_bytes()).hexdigest() != one.sha256:
            yield f"{one.name} was written to after it had its name"


def repeats(arrivals: Sequence[Arrival], incidents: int) -> Finding:
    """I9: a file comes twice only where something happened."""
    twice = len(arrivals) - len({one.name for one in arrivals})
    faults = [f"{twice} files came again, with {incidents} incidents"] if twice > incidents else []
    return finding("I9 twice", f"{twice} of {len(arrivals)} files, {incidents} incidents", faults)


def bounded(courses: Sequence[Course]) -> Finding:
    """I10: memory, descriptors, threads and disk do not grow."""
    faults = [
        f"{one.what}: {one.last:.0f} after {one.middle:.0f}, at most {one.most:.0f}"
        for one in courses
        if not one.flat
    ]
    return finding("I10 flat", f"{len(courses)} courses", faults)


def tidy(site: Site) -> Finding:
    """I10: nothing is left behind in the making."""
    left = [path.name for folder in ("tmp", "files") for path in (site.spool / folder).iterdir()]
    left += [path.name for path in site.sshd.root.rglob("*") if path.is_file()]
    return finding("I10 tidy", f"{len(left)} files left behind", left)


def silent(site: Site, truth: Truth, metrics: set[str]) -> Finding:
    """I12: no user's id in the log and the metrics, nor anything else out of an event."""
    users, log = truth.users(), site.bridge.log.read_bytes()
    shown = {found.decode().lower() for found in UUID.findall(log)}
    faults = [f"the log names user {one}" for one in sorted(shown & users)]
    faults += [f"the metrics name user {one}" for one in sorted(metrics & users)]
    faults += ["the log quotes a refused event"] if MARK.encode() in log else []
    faults += ["a traceback stands in the log"] if b"Traceback" in log else []
    return finding("I12 silence", f"{len(log)} bytes of log", faults)


def ends(lives: Sequence[Life]) -> Finding:
    """A process ends as it was ended: in order by SIGTERM, and never by itself."""
    faults = []
    for number, life in enumerate(lives, start=1):
        age = life.ordered_at - life.started
        stopped = {0} | ({-15} if age <= STARTING else set()) | ({AT_ONCE} if life.orders > 1 else set())
        right = {None: set(), 9: {-9}, 15: stopped}[life.ordered]
        if life.code not in right:
            faults.append(f"process {number} ended with {life.code} after {life.seconds:.0f} s")
        elif life.ordered == 15 and life.ended - life.ordered_at > STOPPING:
            faults.append(f"process {number} took {life.ended - life.ordered_at:.0f} s to stop")
    return finding("ends", f"{len(lives)} processes", faults)


def _attempts(site: Site, account: str) -> list[float]:
    """When each that counts began, epoch seconds."""
    query = "SELECT started_at FROM attempts WHERE account = ? AND outcome IS NOT 'given_back'"
    return [started / 1000 for (started,) in _ledger(site, query, account)]


def _ledger(site: Site, query: str, *values: object) -> list[tuple]:
    connection = sqlite3.connect(f"file:{site.spool / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()
