"""Why the ledger knows no file of a name, as far as the name and the spool tell."""

import difflib
from pathlib import Path

from bridge.audience import names
from bridge.clock import DAY
from bridge.deliver.ledger import Ledger
from bridge.errors import UsageError
from bridge.service.housekeeping import REMEMBERED


def unknown_file(asked: str, name: str, ledger: Ledger, files: Path, now: int) -> UsageError:
    """The error of somebody who asks for a file that the ledger does not know.

    Args:
        asked: How it was asked for, such as `--file NAME`.
        name: What was asked for.
        ledger: Where it is not.
        files: The spool's folder of built files.
        now: The present.
    """
    nearest = difflib.get_close_matches(name, ledger.names(), n=1)
    instead = f"did you mean {nearest[0]}?" if nearest else "s2s-bridge status lists the newest files"
    return UsageError(f"{asked}: {_why(name, ledger, files, now)}; {instead}")


def _why(name: str, ledger: Ledger, files: Path, now: int) -> str:
    try:
        parsed = names.parse(name)
    except ValueError:
        return "a file's name reads Agency_Partner[_Client]_YYYYMMDDHHMM.log.gz"
    last = ledger.last_stamp(parsed.series)
    if last is None:
        return f"no file of {parsed.series} was ever built here"
    if parsed.stamp > last:
        return "this name is not given to any file yet"
    if (files / name).exists():
        return (
            "it lies in the spool, but the process died before the ledger knew of it: the next start removes "
            "it, and what it holds is delivered under another name"
        )
    if parsed.stamp < now - REMEMBERED:
        return f"files are forgotten {REMEMBERED // DAY} days after their upload; the log may tell of it"
    return (
        "nothing was ever uploaded under it: if the log says name_reserved, it was given up before its first "
        "attempt, and what it held is delivered under another name"
    )
