"""What every test of a command needs."""

import pytest
import structlog


@pytest.fixture(autouse=True)
def _own_log():
    """A command sends the log to the stderr of its time, which for a later test is closed."""
    yield
    structlog.reset_defaults()
