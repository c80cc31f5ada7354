"""What a plan comes to, in words: whether it fits, and what to do where it does not."""

from collections.abc import Iterator

from bridge.planning.plan import AccountPlan, Plan
from bridge.units import format_duration, format_size, plural

SEPARATE = 10_000_000_000
"""From so many bytes a day in all on the platform wants separate integrations."""


def verdict(plan: Plan) -> str:
    """One line: `fits`, or `does not fit: ` and what does not."""
    if not plan.fits:
        return f"does not fit: {'; '.join(_excess(one) for one in plan.accounts if not one.fits)}"
    tight = [one.name for one in plan.accounts if one.tight]
    if tight:
        return f"fits, but hardly: account {', '.join(tight)}: files near midnight may wait for the next day"
    return "fits"


def advice(plan: Plan) -> Iterator[str]:
    """What would fit, a line each."""
    if plan.fits:
        if plan.fitting_roll is not None and plan.fitting_roll < plan.roll:
            yield f"the smallest roll.max_age that fits is {format_duration(plan.fitting_roll)}"
        return
    if plan.fitting_roll is not None:
        yield f"roll.max_age {format_duration(plan.fitting_roll)} is the smallest that fits"
    else:
        yield "no roll.max_age up to a day fits: fewer files or bytes must be asked for, or more allowed"
    for account in plan.accounts:
        if not account.fits:
            yield _more(account)
    yield "quotas and accounts are the platform's to give: both quotas can be negotiated (then set quota)"
    if sum(one.bytes_per_day for one in plan.accounts) > SEPARATE:
        most = format_size(SEPARATE)
        yield f"above {most} a day in all it wants separate integrations, each with credentials of its own:"
        yield "by data (first or third party) and inventory (a stream's account: {display: a, mobile: b})"


def _excess(account: AccountPlan) -> str:
    files, size, limit = account.files_per_hour, account.bytes_per_day, account.bytes_limit
    found = []
    if files > account.files_limit:
        found.append(f"{files:,.1f} files an hour of {account.files_limit:,} (they wait for each other)")
    if size > limit:
        found.append(f"{format_size(size)} a day of {format_size(limit)} (what waits grows)")
    return f"account {account.name}: {', '.join(found)}"


def _more(account: AccountPlan) -> str:
    if account.accounts is None:
        largest = max(account.audiences, key=lambda one: one.bytes_per_day)
        return (
            f"account {account.name}: as roll is, further accounts do not help: an audience goes to one, and "
            f"{largest.audience.label} alone is too much for it"
        )
    more = plural(account.accounts - 1, "further account")
    return f"account {account.name}: as roll is, {more} with its quotas would do"
