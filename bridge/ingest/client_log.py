"""Where librdkafka writes its own log lines."""

import logging

import structlog

_log = structlog.get_logger()


class ClientLog:
    """Librdkafka's own log lines: what matters of them is told by errors, the rest is for debugging."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        """Take a line as the standard library's loggers do."""
        if level >= logging.CRITICAL:
            _log.error("librdkafka_failed", text=text % arguments)
        else:
            _log.debug("librdkafka", text=text % arguments)
