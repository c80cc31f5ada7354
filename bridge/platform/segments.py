"""The Audience Segments API (seed audience_segments_api, Operations): its five calls, and what answers mean.

What the platform answers is not trusted: taxonomies are read with the bounds and rules of `bridge.taxonomy`.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Protocol, TypeVar

from bridge.clock import MINUTE, Clock
from bridge.config import AudienceSegmentsSettings, Config
from bridge.errors import UsageError
from bridge.platform.api import Api, CallFailed, Json, Limits, Outcome, Site
from bridge.platform.log_in import LogIn
from bridge.taxonomy import (
    Form,
    Permissions,
    Rules,
    Taxonomy,
    creation,
    fingerprint,
    names,
    read_bytes,
    update,
)
from bridge.taxonomy.fault import Severity, Wrong
from bridge.taxonomy.fields import code

T = TypeVar("T")

KEY = "platform.audience_segments"
"""Of an account."""

PATH = "/audience_segments"

LIMITS = Limits(silence=MINUTE, whole=5 * MINUTE)
"""A taxonomy of some ten thousand nodes is much to take in at once."""

AS_HELD = Rules(hashed=True, below_wholesale=True, any_places=True)
"""What the platform holds may be anything that it once took."""

UNPRINTABLE = "\ufffd"


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A taxonomy as the platform holds it."""

    taxonomy: Taxonomy
    """With its taxonomy_id."""
    id: int
    updated_on: str
    """As the platform says it, printable; empty: it says nothing."""
    tells_hash: bool
    """Whether it says use_hash; else that is what its codes look like."""

    @property
    def fingerprint(self) -> str:
        """As `bridge.taxonomy.fingerprint`."""
        return fingerprint(self.taxonomy)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A taxonomy of a list."""

    id: int
    name: str
    """Printable."""
    updated_on: str
    """As Held has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """An answer to a list."""

    taxonomies: tuple[Listed, ...]
    """By name."""
    whole: bool
    """False: the platform has more than it told, or told some in a way that is not known here."""


class Platform(Protocol):
    """What applying asks of the platform; each call raises CallFailed."""

    def list(self, *, name: str | None = None) -> Listing:
        """Taxonomies of this very name; None: all."""
        ...

    def get(self, taxonomy_id: int) -> Held:
        """One."""
        ...

    def create(self, taxonomy: Taxonomy) -> int:
        """Its new id."""
        ...

    def update(self, taxonomy: Taxonomy) -> None:
        """Make it this; its taxonomy_id tells which."""
        ...


class Segments:
    """A client of the API, one call at a time."""

    def __init__(
        self,
        settings: AudienceSegmentsSettings,
        *,
        setting: str,
        clock: Clock,
        limits: Limits = LIMITS,
        stop: threading.Event | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            settings: The account's.
            setting: Their key, for messages: `accounts[0].platform.audience_segments`.
            clock: Whose time is waited.
            limits: What a call may take; calls a second are the settings'.
            stop: As Api has it.
        """
        self._setting = setting
        self._log_in = LogIn(settings.auth, setting=f"{setting}.auth", clock=clock, limits=limits, stop=stop)
        self._api = Api(
            Site(name="the Audience Segments API", url=settings.url.rstrip("/"), setting=setting),
            clock=clock,
            auth=self._log_in.auth,
            limits=replace(limits, per_second=settings.requests_per_second),
            stop=stop,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._log_in.close()
        self._api.close()

    def list(
        self, *, name: str | None = None, like: str | None = None, buyable: bool | None = None
    ) -> Listing:
        """Taxonomies of this name (`name`), or with nodes of such names (`like`) and such `buyable`.

        The API takes one condition a call: of several, what each call lists.
        """
        said = [] if name is None else [f"name=={names.encoded(name, pipes=False)}"]
        said += [] if like is None else [f"name=:{names.encoded(like, pipes=False)}"]
        said += [] if buyable is None else [f"buyable=={'true' if buyable else 'false'}"]
        listings = [self._listing({"q": q}) for q in said] or [self._listing({})]
        ids = set.intersection(*({one.id for one in listing.taxonomies} for listing in listings))
        kept = (one for one in listings[0].taxonomies if one.id in ids and name in (None, one.name))
        return Listing(taxonomies=tuple(kept), whole=all(listing.whole for listing in listings))

    def get(self, taxonomy_id: int) -> Held:
        """A taxonomy with its ids and permissions."""
        return self._held(self._asked(lambda: self._api.get(f"{PATH}/{taxonomy_id}")), taxonomy_id)

    def grants(self, vendor_id: int) -> Permissions:
        """The entities that a vendor's taxonomies may be permitted to."""
        data = self._data(self._asked(lambda: self._api.get(f"{PATH}/grants/{vendor_id}")))
        return Permissions(
            organizations=self._ids(data, "organizations"),
            agencies=self._ids(data, "agencies"),
            advertisers=self._ids(data, "advertisers"),
        )

    def create(self, taxonomy: Taxonomy) -> int:
        """A new taxonomy; its id. Of outcome UNKNOWN is also an answer that names no id."""
        data = self._data(self._asked(lambda: self._api.post(PATH, creation(taxonomy))))
        taxonomy_id = _id(data)
        if taxonomy_id is None:
            raise self._unreadable("has no taxonomy_id")
        return taxonomy_id

    def update(self, taxonomy: Taxonomy) -> None:
        """The whole of an existing one; what is told of it is taken in later (domain.md: 202)."""
        self._asked(lambda: self._api.post(f"{PATH}/{taxonomy.taxonomy_id}", update(taxonomy)))

    def _asked(self, call: Callable[[], T]) -> T:
        """What a call gives; where the log-in is refused, which does nothing, once more with a new one."""
        self._log_in.renew()
        try:
            return call()
        except CallFailed as failure:
            if failure.status != HTTPStatus.UNAUTHORIZED:
                raise
        self._log_in.renew(refused=True)
        return call()

    def _listing(self, params: dict[str, str]) -> Listing:
        answer = self._asked(lambda: self._api.get(PATH, params))
        data, meta = answer.get("data"), answer.get("meta")
        if not isinstance(data, list):
            raise self._unreadable("has no list as its data")
        listed = {one.id: one for one in map(_listed, data) if one is not None}
        total = meta.get("total_count") if isinstance(meta, dict) else None
        whole = len(listed) == len(data) and (not isinstance(total, int) or total <= len(data))
        return Listing(
            taxonomies=tuple(sorted(listed.values(), key=lambda one: (one.name, one.id))), whole=whole
        )

    def _held(self, answer: Json, taxonomy_id: int) -> Held:
        data = self._data(answer)
        if _id(data) not in (None, taxonomy_id):
            raise self._unreadable(f"is another taxonomy than the {taxonomy_id} that was asked for")
        try:
            content = json.dumps({"data": data}).encode()
        except RecursionError:
            raise self._unreadable("is nested too deeply") from None
        reading = read_bytes(content, "answer", Form.JSON, AS_HELD)
        if reading.taxonomy is None:
            first = next(fault for fault in reading.faults if fault.severity is Severity.FAULT)
            what = f"holds a taxonomy that is not to be read: {first.field or 'data'}: {first.what}"
            raise self._unreadable(what, remedy="ask support to correct it there")
        told = data.get("use_hash")
        hashed = told if isinstance(told, bool) else any(map(_is_text, reading.taxonomy.codes))
        return Held(
            taxonomy=replace(reading.taxonomy, taxonomy_id=taxonomy_id, use_hash=hashed),
            id=taxonomy_id,
            updated_on=visible(data.get("updated_on")),
            tells_hash=isinstance(told, bool),
        )

    def _ids(self, data: Json, kind: str) -> tuple[int, ...]:
        ids = data.get(kind)
        if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
            raise self._unreadable(f"has no list of numbers as its {kind}")
        return tuple(ids)

    def _data(self, answer: Json) -> Json:
        data = answer.get("data")
        if not isinstance(data, dict):
            raise self._unreadable("has no mapping as its data")
        return data

    def _unreadable(self, what: str, remedy: str = "") -> CallFailed:
        site = self._api.site
        return CallFailed(
            f"the answer of {site.name} at {site.url} {what}; "
            f"{remedy or f'see that {self._setting}.url is right'}",
            outcome=Outcome.UNKNOWN,
        )


def taxonomies(
    config: Config, clock: Clock, stop: threading.Event | None = None
) -> Callable[[str, int], Held]:
    """For the bridge: the taxonomy of an id, as the account of this name sees it at the platform now.

    It may take minutes; of one account it is asked for one at a time, as all of them share a log-in. Raises
    BridgeError, in one line, for whatever keeps it from being had.
    """
    settings = {
        account.name: (account.platform.audience_segments, f"accounts[{at}].{KEY}")
        for at, account in enumerate(config.accounts)
    }
    asking = {name: threading.Lock() for name in settings}
    clients: dict[str, Segments] = {}

    def taxonomy(account: str, taxonomy_id: int) -> Held:
        own, setting = settings[account]
        if own is None:
            raise UsageError(f"{setting} is missing, and taxonomy {taxonomy_id} is at the platform; write it")
        with asking[account]:
            if account not in clients:
                clients[account] = Segments(own, setting=setting, clock=clock, stop=stop)
            return clients[account].get(taxonomy_id)

    return taxonomy


def visible(said: object) -> str:
    """A text of the platform's as a terminal may have it; empty for what is none.

    A name that a file may have stays as it is (`names.check`), so that a taxonomy is found by it.
    """
    text = said if isinstance(said, str) else ""
    return "".join(UNPRINTABLE if names.unseen(c) else c for c in text[: 2 * 255])


def _id(data: Json) -> int | None:
    said = data.get("taxonomy_id")
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else None


def _listed(item: object) -> Listed | None:
    """An element of a list, whose shape the seed does not tell; None: it is not known here."""
    if not isinstance(item, dict):
        return None
    taxonomy = item.get("taxonomy")
    name = taxonomy.get("name") if isinstance(taxonomy, dict) else item.get("name")
    taxonomy_id = _id(item)
    if taxonomy_id is None or not isinstance(name, str):
        return None
    return Listed(
        id=taxonomy_id, name=visible(names.decoded(name)), updated_on=visible(item.get("updated_on"))
    )


def _is_text(text: str) -> bool:
    """Whether it is no code of 32 bits."""
    try:
        code(text, hashed=False)
    except Wrong:
        return True
    return False
