"""Sending again what a file held: its audience's frontier goes back to before the file's runs.

So its memberships wait again, with all that came later for its users, and merge with that by the rules there
are: nothing old undoes anything newer (design.md, invariant 1). Nothing is copied and nothing kept for it: it
can be done as long as the runs are there.
"""

from functools import partial

from bridge.clock import Clock
from bridge.deliver import file_log
from bridge.deliver.file_state import ARRIVED, FileState
from bridge.deliver.lanes import Held, HeldReplay, look
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import AudienceState, FileRecord
from bridge.deliver.uploading import Uploads
from bridge.spool.run import Run
from bridge.spool.spool import Spool

REMEDY = "s2s-bridge replay --from --to sends that time again from the topics"

_NOT_ARRIVED = {
    FileState.BUILT: "it is not uploaded yet",
    FileState.UPLOADING: "it is not uploaded yet",
    FileState.FAILED: "it was given up, and what it held is delivered under another name",
}


class Resends:
    """The files of one account that are asked to be sent again."""

    def __init__(self, *, account: str, spool: Spool, ledger: Ledger, clock: Clock, uploads: Uploads) -> None:
        self._account = account
        self._spool = spool
        self._ledger = ledger
        self._clock = clock
        self._uploads = uploads

    def carry_out(self) -> None:
        """What is asked for is due again, but of audiences with a file that is begun: those are asked later.

        A file that was built and not begun makes way: once uploaded, it would bring the frontier past what
        is to be sent again.
        """
        for file in self._ledger.to_resend(self._account):
            self._uploads.discard_unbegun(file.audience)
            if any(one.file.audience == file.audience for one in self._ledger.unfinished(self._account)):
                continue
            held = look(self._spool)
            reason = self._ledger.resend(file.name, self._clock.now(), partial(refusal, held=held))
            if reason is None:
                file_log.due_again(file)
            else:
                file_log.not_due_again(file, reason)


def refusal(file: FileRecord, state: AudienceState, *, held: Held) -> str | None:
    """Why what a file held cannot be sent again, and what to do instead; None: it can.

    Args:
        file: The file.
        state: What is known of its audience.
        held: What the spool holds, looked at before.
    """
    if file.state not in ARRIVED:
        return _NOT_ARRIVED[file.state]
    if not file.runs:
        return f"an older version built it and did not note its runs: {REMEDY}"
    runs: tuple[Run, ...] = held.runs
    if file.replay:
        replay = next((one for one in held.due_replays if one.record.id == file.replay), None)
        if replay is None or file.replay not in state.replayed:
            return f"its replay is gone, or was cancelled: {REMEDY}"
        if not _judged(replay, state, held):
            return f"live history that judges its replay is retired: {REMEDY}"
        runs = replay.runs
    if not _whole(file, state, runs):
        return f"not all of its runs are there any more: {REMEDY}"
    return None


def _whole(file: FileRecord, state: AudienceState, runs: tuple[Run, ...]) -> bool:
    """All that the file was made of is there: by the ledger, and by what lies there.

    Both are asked: a run may have been merged with one that its audience had left; and one that the ledger
    has let go may still lie there, and one that it has not may be lost.
    """
    mine = [run for run in runs if file.audience in run.audiences]
    there = (any(run.low <= one.low and one.number <= run.number for run in mine) for one in file.runs or ())
    return (file.first_run or 0) > state.retired.get(file.replay, 0) and all(there)


def _judged(replay: HeldReplay, state: AudienceState, held: Held) -> bool:
    """What was sealed live since the replay began is there, if that judges it and no horizon (decision 20).

    While the replay waited it was kept, and from then on it was not.
    """
    record, retired = replay.record, state.retired.get("", 0)
    if record.forced or not record.past_horizon or not retired:
        return True
    return any(run.low > retired and run.footer.oldest_sealed_at <= record.created_at for run in held.runs)
