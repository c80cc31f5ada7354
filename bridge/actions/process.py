"""The process as a whole."""

from bridge.actions.action import debug, error, info, warning

ACTIONS = (
    info("started", "The locks are held and all threads work.", "spool", "until_end"),
    info("stopped", "It ends in order: what was read is sealed and committed."),
    info("lock_awaited", "Another process has the lock: it waits for it.", "lock", "held_by", "seconds"),
    info(
        "stopped_waiting", "It was told to stop while it waited for a lock: nothing was begun.", "waited_for"
    ),
    warning(
        "spool_open_to_others",
        "Users of the machine may enter the spool, which holds user ids.",
        "folders",
        "remedy",
    ),
    warning(
        "ledger_created",
        "There was no ledger, or it is adopted: a new one. What was delivered before is not known to it.",
        "path",
        "windows_counted_as_spent",
    ),
    error(
        "account_stopped",
        "A run that the thread needs is damaged: it has stopped, and nothing of its account is delivered; "
        "others go on.",
        "account",
        "thread",
        "reason",
    ),
    error(
        "page_failed",
        "A page of ours could not be made: the answer was a 500, or the page for people without its figures.",
        "path",
        "kind",
    ),
    error(
        "http_failed",
        "The web server failed at a request, or ended; kinds and places where there is an exception.",
        "what",
        "kinds",
        "places",
    ),
    debug("bug", "An error that nobody has foreseen; please report it.", "kinds", "places"),
)
"""What it tells."""
