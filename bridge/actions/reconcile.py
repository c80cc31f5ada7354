"""What the platform says became of files."""

from bridge.actions.action import error, info, warning

ACTIONS = (
    info(
        "file_confirmed",
        "The platform has processed the file. Lines that it refused are not sent again by themselves.",
        "account",
        "audience",
        "file",
        "replay",
        "lines_accepted",
        "lines_refused",
    ),
    error(
        "file_rejected",
        "The platform has refused the file, for the reason in its own words.",
        "account",
        "audience",
        "file",
        "replay",
        "lines_accepted",
        "lines_refused",
        "reason",
        "remedy",
    ),
    warning(
        "file_overdue",
        "The platform should have processed the file `seconds` after its upload; its log does not say so. It "
        "is told once, and the log is asked on.",
        "account",
        "audience",
        "file",
        "replay",
        "status",
        "seconds",
        "remedy",
    ),
    warning(
        "processing_log_unreachable",
        "The processing log gives no answer, or none that is understood. It is asked again and again, and "
        "that is told once.",
        "account",
        "reason",
    ),
    info("processing_log_reachable", "The processing log answers again.", "account"),
    warning(
        "unknown_status",
        "The processing log has a status that no setting names: it counts as pending. Each is told once.",
        "account",
        "status",
        "remedy",
    ),
    warning(
        "log_entries_skipped",
        "Entries of the processing log lack a file or a status. It is told once.",
        "account",
        "entries",
        "remedy",
    ),
)
"""What it tells."""
