"""Which runs a file is made of: what `status --file` tells, and the log."""

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.deliver.lanes import View, holding
from bridge.deliver.records import RunRange
from bridge.spool.run import Block, Run


def sources(
    audience: Audience, view: View, start: str, stop: str | None, *, removals_only: bool
) -> tuple[RunRange, ...]:
    """The runs whose rows wait among the users from `start` up to but without `stop`, ascending.

    Known to a block of rows: a run with such a block that holds none of these users may be among them.
    """
    sent = (view.own.frontier, view.removals) if removals_only else (view.own.frontier,)

    def lowest(block: Block) -> int:
        """Everything of a run up to this one was sent, of the users of the block."""
        first = max(block.first_user, start)
        return max(_lowest(frontier, first, block.last_user, stop) for frontier in sent)

    def waits(block: Block, run: Run) -> bool:
        inside = block.last_user >= start and (stop is None or block.first_user < stop)
        due = view.own.until is None or block.min_event_time < view.own.until
        return inside and due and lowest(block) < run.number

    found: list[RunRange] = []
    for run in holding(audience, view.own).runs:
        if run.number > view.own.frontier.lowest:
            behind = [lowest(block) for block in run.blocks(audience) if waits(block, run)]
            if behind:
                found.append(RunRange(low=max(run.low, min(behind) + 1), number=run.number))
    return tuple(found)


def _lowest(frontier: Frontier, first: str, last: str, stop: str | None) -> int:
    """As `Frontier.lowest_of`, of the users before `stop` alone."""
    steps = (step for step in frontier.steps if first < step.start <= last)
    return min([frontier.at(first), *(step.run for step in steps if stop is None or step.start < stop)])
