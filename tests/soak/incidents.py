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
    """Does what the plan says, each part in a thread of its own: nobody waits for a broker that starts."""

    def __init__(self, site: Site, plan: Sequence[Incident], say: Callable[[str], object]) -> None:
        self.happened: list[Incident] = []
        """Those that have begun."""
        self.failures: list[Exception] = []
        """Of a part that could not be broken, or did not come back."""
        self._site = site
        self._say = say
        self._start = 0.0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=([one for one in plan if one.part == part],), name=part)
            for part in sorted({one.part for one in plan})
        ]

    def start(self) -> None:
        self._start = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more, and heal what has begun."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self, own: Sequence[Incident]) -> None:
        try:
            for incident in own:
                if self._stop.wait(max(0.0, self._start + incident.at - time.monotonic())):
                    return
                self._carry_out(incident)
        except Exception as failure:  # noqa: BLE001  # whatever it is, the soak tells it
            self.failures.append(failure)

    def _carry_out(self, incident: Incident) -> None:
        begin, heal = ACTIONS[incident.part, incident.kind]
        self.happened.append(incident)
        self._say(f"{time.monotonic() - self._start:6.1f} s  {incident}")
        begin(self._site, incident)
        self._stop.wait(incident.hold)
        heal(self._site, incident)
