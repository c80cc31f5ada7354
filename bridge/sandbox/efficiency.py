"""Whether a user stands on more lines than needed (seed: combine user/segment load statements)."""

from bridge.audience.file_rows import SLACK
from bridge.audience.line_limit import LINE_LIMIT


class Efficiency:
    """Fed with a file's accepted lines, in any order of users; memory grows with the file's users."""

    def __init__(self) -> None:
        self._lengths: dict[str, int] = {}
        """User to the length of all its statements on one line."""
        self._lines: dict[str, int] = {}
        """Users that stand on several lines, and on how many."""

    def feed(self, user: str, length: int) -> None:
        """One line of that user, so many bytes long with its end."""
        before = self._lengths.get(user)
        if before is None:
            self._lengths[user] = length
        else:
            self._lengths[user] = before + length - len(user) - 1
            self._lines[user] = self._lines.get(user, 1) + 1

    @property
    def users(self) -> int:
        """Different ones."""
        return len(self._lengths)

    @property
    def split_users(self) -> int:
        """Those who would fit on fewer lines; a user too long for one line is none of them."""
        return sum(_needless(lines, self._lengths[user]) for user, lines in self._lines.items())


def _needless(lines: int, length: int) -> bool:
    return length < LINE_LIMIT or length <= (lines - 1) * (LINE_LIMIT - SLACK)
