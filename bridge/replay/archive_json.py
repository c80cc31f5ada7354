"""JSON Lines: each line is an event as it stands; a bad one is refused by the decoder, as in a topic."""

from collections.abc import Iterator
from typing import BinaryIO

from bridge.replay.archives import LONGEST_LINE, Damaged, is_object


def events(file: BinaryIO) -> Iterator[bytes]:
    """The lines that are not blank, without their ends.

    A file that was cut between two lines cannot be told from a whole one.

    Raises:
        Damaged: Its last line is cut, or a line is longer than LONGEST_LINE.
    """
    while line := file.readline(LONGEST_LINE):
        if not line.endswith(b"\n"):
            if len(line) == LONGEST_LINE:
                raise Damaged(f"damaged: a line is longer than {LONGEST_LINE} bytes, which no event is")
            if line.strip() and not is_object(line):
                raise Damaged("truncated: its last line is no whole JSON object")
        if event := line.strip():
            yield event
