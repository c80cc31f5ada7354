"""Looks at what there is, for the page: one look at a time, and seldom enough that it disturbs nobody.

A look reads the ledger beside the deliverers and the footers of runs, which may take long: a disk that hangs
must not hold who asks, nor the process that wants to end. So it has a thread of its own, which nobody joins;
who asks waits `PATIENCE` for it, and is shown what was seen before.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from bridge.audience.audience import Audience
from bridge.clock import SECOND, Clock
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.observe.health import Health
from bridge.observe.metrics import Metrics
from bridge.observe.page import Made
from bridge.service.page.flows import Flows
from bridge.service.page.records import Seen
from bridge.service.telling.forecast import Outlook, Slot, rest_of_day, slots
from bridge.service.telling.status import Status, gather

if TYPE_CHECKING:
    from bridge.spool.spool import Spool

log = structlog.get_logger()

HTML = "text/html; charset=utf-8"

FRESH = 2 * SECOND
"""What was seen so lately is shown again, ms."""

REST = 9
"""After a look nobody looks again for so many times as long as it took: it costs a tenth of a processor."""

PATIENCE = 3.0
"""Seconds that who asks waits for a look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What a look has found."""

    status: Status
    slots: Mapping[Audience, Slot]
    outlooks: Mapping[str, Outlook]


class FrontPage:
    """The page for people, of one process. Called by any thread."""

    def __init__(self, config: Config, health: Health, metrics: Metrics, clock: Clock) -> None:
        self._config = config
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._began_at = clock.now()
        self._flows = Flows(config.streams)
        self._changing = threading.Lock()
        self._looking: threading.Event | None = None
        self._known = _nothing(self._began_at)
        self._not_ready: tuple[str, ...] = ()
        self._trouble = ""
        self._fresh_until = clock.elapsed()
        self.opened: Spool | None = None
        """The spool, once its locks are held."""

    def __call__(self) -> Made:
        """The page, of what was seen last."""
        from bridge.service.page.rendering import rendered  # noqa: PLC0415  # where nobody asks, no templates
        from bridge.service.page.view import view  # noqa: PLC0415  # as above

        self._look_again()
        return HTTPStatus.OK, HTML, rendered(view(self.seen(), self._config, self._clock.now()))

    def seen(self) -> Seen:
        """All that is known."""
        known = self._known
        with self._changing:
            samples = list(self._metrics.samples())
            flows = self._flows.look(samples, self._clock.elapsed())
        return Seen(
            status=known.status,
            slots=known.slots,
            outlooks=known.outlooks,
            flows=flows,
            faults=(*self._health.faults(self._clock.now()), *self._health.stops()),
            not_ready=self._not_ready,
            working=self.opened is not None,
            spool_bytes=int(sum(one.value for one in samples if one.name == "spool_bytes")),
            began_at=self._began_at,
            unasked=tuple(
                one.labels["account"]
                for one in samples
                if one.name == "processing_log_reachable" and not one.value
            ),
            trouble=self._trouble,
        )

    def _look_again(self) -> None:
        """What is known is fresh, or a look at it has had its time."""
        with self._changing:
            if self._looking is None and self._clock.elapsed() >= self._fresh_until:
                done = threading.Event()
                threading.Thread(target=self._look, args=(done,), name="page", daemon=True).start()
                self._looking = done  # only now: where no thread can be had, the next one tries again
            looking = self._looking
        if looking is not None:
            looking.wait(PATIENCE)

    def _look_at_all(self) -> "_Known":
        status = gather(self._config, self._clock, self.opened)
        return _Known(
            status=status,
            slots=slots(status, self._config),
            outlooks={one.account: one for one in rest_of_day(status, self._config)},
        )

    def _look(self, done: threading.Event) -> None:
        began = self._clock.elapsed()
        try:
            self._not_ready = tuple(self._health.not_ready())  # it touches the disk, too
            self._known, self._trouble = self._look_at_all(), ""
        except BridgeError as error:
            self._trouble = str(error)
        except Exception as error:  # noqa: BLE001  # the page says that it is not what it was
            self._trouble = "what is on disk could not be read: this is a bug; see page_failed in the log"
            log.error("page_failed", path="/", kind=type(error).__name__)
        finally:
            took = self._clock.elapsed() - began
            with self._changing:
                self._fresh_until = self._clock.elapsed() + max(FRESH, REST * took)
                self._looking = None
            done.set()


def _nothing(now: int) -> _Known:
    """Before the first look."""
    note = "the spool and the ledger are being read"
    status = Status(at=now, notes=(note,), accounts=(), audiences=(), histories=(), replays=(), files=())
    return _Known(status=status, slots={}, outlooks={})
