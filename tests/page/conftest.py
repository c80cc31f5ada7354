"""The scene that several tests look at."""

from collections.abc import Iterator

import pytest

from tests.page.lively import Lively


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lively]:
    """A lively day, which the page has looked at; nobody changes it."""
    with Lively(tmp_path_factory.mktemp("lively")) as one:
        one.front()
        yield one
