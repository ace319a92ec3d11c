"""One base error, and one error for each boundary where a user's input or the outside world can be wrong.

A message says what was wrong, where (file, row, key), and what to do. `exit_code` is what the command
line returns: 2 where the caller can mend it by calling differently, 1 where something failed.
"""


class ThinkscaleError(Exception):
    """Base of every error that is raised on purpose; never raised itself."""

    exit_code = 1


class ConfigError(ThinkscaleError):
    """A recipe, a setting or an option is wrong."""

    exit_code = 2


class DataError(ThinkscaleError):
    """A file of the user's is missing, broken, or lacks what is needed."""

    exit_code = 2


class RunDirectoryError(ThinkscaleError):
    """A run directory is in use, belongs to another recipe, or is damaged."""

    exit_code = 2


class DriftError(RunDirectoryError):
    """A stored stage was made under another identity; `fields` names what changed."""

    def __init__(self, message: str, fields: tuple[str, ...]) -> None:
        super().__init__(message)
        self.fields = fields


class ModelError(ThinkscaleError):
    """A model folder or tokenizer cannot be used as asked."""

    exit_code = 2


class MissingExtraError(ThinkscaleError):
    """A command needs an optional part of the package that is not installed."""

    exit_code = 2


class EngineError(ThinkscaleError):
    """An engine failed as a whole (a single failed request is a record, not an error)."""


class StageError(ThinkscaleError):
    """A stage cannot give what was asked of it (for instance fewer rows than asked for)."""


class StorageError(ThinkscaleError):
    """Writing failed: the disk is full, or the folder cannot be written."""


class StoppedError(ThinkscaleError):
    """Ctrl-C or SIGTERM ended a run; what was finished is stored."""


class SpendCapError(ThinkscaleError):
    """The next request might cross the spend cap; what was answered is stored."""


class EncodingError(ThinkscaleError):
    """A value has no stable encoding, so no content key can be made of it."""


class SandboxError(ThinkscaleError):
    """Model programs cannot be kept in on this machine, so none is run."""

    exit_code = 2
