"""A page: what a path of `http.listen` answers."""

from collections.abc import Callable
from http import HTTPStatus

Made = tuple[HTTPStatus, str, bytes]
"""Status, content type, body."""

Page = Callable[[], Made]
"""Makes it, when it is asked for; may take as long as it needs."""
