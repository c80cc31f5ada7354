"""Errors that a person reads: one line that names the thing, the place and the remedy."""


class BridgeError(Exception):
    """Something that the operator must know; the command prints it in one line and exits 1."""


class UsageError(BridgeError):
    """Wrong usage or configuration; the command prints it in one line and exits 2."""
