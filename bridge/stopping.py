"""Work that takes long is handed a `watch`, which it calls again and again; what it raises ends the work."""

from threading import Event


class Stopped(Exception):  # noqa: N818  # it names a state
    """What was under way is left, as somebody wants to stop; whoever handed over the `watch` catches it."""


def leave_if(stop: Event) -> None:
    """For a `watch`: nothing, as long as nobody wants to stop.

    Raises:
        Stopped: Somebody does.
    """
    if stop.is_set():
        raise Stopped
