"""The exceptions that a command turns into a sentence: what happened, with which value, and what to do."""


class WorkError(Exception):
    """Work that failed: exit code 1."""


class UsageError(WorkError):
    """A wrong use of a command, found after its options were parsed: exit code 2."""


class NotFoundError(UsageError):
    """Something that was named does not exist, such as a version: exit code 2, and status 404 in the console."""
