"""Whether others may look into a spool: it makes folders for its user alone, but may have found others."""

import stat
from pathlib import Path


def open_to_others(directory: Path) -> tuple[Path, ...]:
    """The spool's folder and those in it that users outside owner and group may enter, list or write.

    The group is left alone: in Kubernetes `fsGroup` opens a volume to it on purpose (docs/decisions/0025).
    """
    folders = (directory, *(path for path in sorted(directory.iterdir()) if path.is_dir()))
    return tuple(folder for folder in folders if folder.stat().st_mode & stat.S_IRWXO)
