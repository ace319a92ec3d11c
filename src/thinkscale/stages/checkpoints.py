"""Where a run keeps the model that it trained."""

from pathlib import Path


def student_checkpoint(run: Path) -> Path:
    """The folder of the trained student."""
    return run / "checkpoints" / "student"
