"""Carries a plan out on the real parts."""

import signal
import threading
import time
from collections.abc import Callable, Sequence

from tests.soak.plan import Incident
from tests.soak.site import Site

Action = Callable[[Site, Incident], object]


def _nothing(_site: Site, _incident: Incident) -> None:
    pass


def _cut_after(site: Site, incident: Incident) -> None:
    site.proxy.cut_after = incident.size


def _never_cut(site: Site, _incident: Incident) -> None:
    site.proxy.cut_after = None


def _silent_after(site: Site, incident: Incident) -> None:
    site.proxy.swallow_after = incident.size


def _never_silent(site: Site, _incident: Incident) -> None:
    site.proxy.swallow_after = None


def _sending(number: signal.Signals) -> Action:
    return lambda site, _: site.keeper.send(number)


ACTIONS: dict[tuple[str, str], tuple[Action, Action]] = {
    ("bridge", "killed"): (_sending(signal.SIGKILL), _nothing),
    ("bridge", "terminated"): (_sending(signal.SIGTERM), _nothing),
    ("bridge", "frozen"): (_sending(signal.SIGSTOP), _sending(signal.SIGCONT)),
    ("sshd", "stopped"): (lambda site, _: site.sshd.stop(), lambda site, _: site.sshd.start()),
    ("sshd", "frozen"): (lambda site, _: site.sshd.freeze(), lambda site, _: site.sshd.thaw()),
    ("sshd", "restarted"): (lambda site, _: site.sshd.restart(), _nothing),
    ("sshd", "sessions killed"): (lambda site, _: site.sshd.kill_sessions(), _nothing),
    ("network", "cut"): (lambda site, _: site.proxy.cut(), _nothing),
    ("network", "cut after"): (_cut_after, _never_cut),
    ("network", "silent after"): (_silent_after, _never_silent),
    ("network", "a reply lost"): (lambda site, _: site.proxy.lose_next_reply(), _nothing),
    ("broker", "frozen"): (lambda site, _: site.kafka.pause(), lambda site, _: site.kafka.resume()),
    ("broker", "killed"): (lambda site, _: site.kafka.kill(), lambda site, _: site.kafka.restart()),
    ("broker", "restarted"): (lambda site, _: site.kafka.restart(), _nothing),
}
"""What each kind does when it begins, and what heals it."""


class Incidents:
    """A thread that does what the plan says; a step that takes long makes the next ones late."""

    def __init__(self, site: Site, plan: Sequence[Incident], say: Callable[[str], object]) -> None:
        self.happened: list[Incident] = []
        self._site = site
        self._say = say
        begins = [(one.at, one, 0) for one in plan]
        ends = [(one.at + one.hold, one, 1) for one in plan if one.hold]
        self._steps = sorted(begins + ends, key=lambda step: step[0])

    def run(self, start: float, stop: threading.Event) -> None:
        """From `start` (monotonic seconds) on; what has begun is ended, also where it is stopped.

        Raises:
            Exception: A part did not come back.
        """
        begun: set[Incident] = set()
        for at, incident, which in self._steps:
            if which == 0 and stop.wait(max(0.0, start + at - time.monotonic())):
                continue
            if which == 1 and incident not in begun:
                continue
            if which == 1:
                stop.wait(max(0.0, start + at - time.monotonic()))
            else:
                begun.add(incident)
                self.happened.append(incident)
                self._say(f"{time.monotonic() - start:6.1f} s  {incident}")
            ACTIONS[incident.part, incident.kind][which](self._site, incident)
