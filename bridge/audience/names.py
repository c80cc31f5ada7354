"""Names of audience files: `Agency_Partner[_Client]_YYYYMMDDHHMM.log.gz`.

A series of names is agency, partner and client, over all its audiences and accounts; within a series no
two files have one stamp (contract.md, Audience files). A stamp is kept as the epoch milliseconds (UTC) of
the minute it stands for.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_PART = "[A-Za-z0-9-]+"
_NAME = re.compile(rf"({_PART})_({_PART})(?:_({_PART}))?_([0-9]{{12}})\.log\.gz")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MINUTE = 60_000
_FORMAT = "%Y%m%d%H%M"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileName:
    """The parts of an audience file's name; `str()` is the name."""

    agency: str
    """Agency of the account."""
    partner: str
    """Partner of the account."""
    client: str
    """The private client; empty: global."""
    stamp: int
    """Epoch milliseconds of a whole minute."""

    @property
    def series(self) -> str:
        """The name without its stamp and ending: what `series_of` gives."""
        return series_of(self.agency, self.partner, self.client)

    def __str__(self) -> str:
        return file_name(self.agency, self.partner, self.client, self.stamp)


def series_of(agency: str, partner: str, client: str) -> str:
    """The series' text: `Agency_Partner[_Client]`; no part holds an underscore, so no two share one."""
    return "_".join([agency, partner, client] if client else [agency, partner])


def file_name(agency: str, partner: str, client: str, stamp: int) -> str:
    """The remote name; `client` is empty for global data, `stamp` is epoch milliseconds of a whole minute."""
    minute = _EPOCH + stamp * _MILLISECOND
    return f"{series_of(agency, partner, client)}_{minute.strftime(_FORMAT)}.log.gz"


def parse(name: str) -> FileName:
    """The parts of a name.

    Raises:
        ValueError: It is not the name of an audience file.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} does not read Agency_Partner[_Client]_YYYYMMDDHHMM.log.gz")
    agency, partner, client, digits = match.groups()
    minute = datetime.strptime(digits, _FORMAT).replace(tzinfo=UTC)
    stamp = (minute - _EPOCH) // _MILLISECOND
    return FileName(agency=agency, partner=partner, client=client or "", stamp=stamp)


def next_stamp(last: int | None, now: int) -> int:
    """The stamp of a series' next file, `last` being the last one's: it runs ahead rather than wait."""
    current = now - now % _MINUTE
    return current if last is None else max(current, last + _MINUTE)
