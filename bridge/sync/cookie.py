"""The browser's cookies: the partner's own id, and the mark of an opt-out (docs/decisions/0046)."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.clock import SECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class CookieRule:
    """How they are called, and who gets them."""

    name: str
    """Of the one with the id."""
    max_age: int
    """How long a browser keeps it, ms."""
    domain: str | None
    """Whose hosts get it; None: the endpoint's host alone."""
    path: str
    """Which paths get it."""

    @property
    def opt_out_name(self) -> str:
        """Of the mark that stays after an opt-out, and holds no id."""
        return f"{self.name}_opt_out"

    def keep(self, partner_id: str) -> str:
        """Set-Cookie that gives a browser its id."""
        return self._set(self.name, partner_id, self.max_age // SECOND)

    def forget(self) -> str:
        """Set-Cookie that ends it."""
        return self._set(self.name, "", 0)

    def mark_opt_out(self) -> str:
        """Set-Cookie of the mark."""
        return self._set(self.opt_out_name, "1", self.max_age // SECOND)

    def _set(self, name: str, value: str, max_age: int) -> str:
        """SameSite=None, as the page is another site's; browsers take that with Secure alone."""
        domain = f"; Domain={self.domain}" if self.domain else ""
        return f"{name}={value}; Max-Age={max_age}; Path={self.path}{domain}; Secure; HttpOnly; SameSite=None"


def cookies(headers: Iterable[tuple[bytes, bytes]], names: Iterable[str]) -> dict[str, str]:
    """The cookies of these names that a request brings; of several with one name the first.

    A browser sends the one with the longest path first. Bytes that are no ASCII come back as U+FFFD.
    """
    wanted = {name.encode(): name for name in names}
    found: dict[str, str] = {}
    for header, content in headers:
        if header != b"cookie":
            continue
        for pair in content.split(b";"):
            name, _, value = pair.strip().partition(b"=")
            ours = wanted.get(name)
            if ours is not None:
                found.setdefault(ours, value.decode("ascii", "replace"))
    return found
