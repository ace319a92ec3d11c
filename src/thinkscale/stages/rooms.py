"""Where what is compared lies on disk meanwhile: the folder of one invocation, with its spill files by content."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from thinkscale.cluster.spill import SpillRoom, scratch_folder

MAX_ROWS = 1 << 32


@dataclass(frozen=True, slots=True)
class Rooms:
    """The folder of one invocation. `keys` and `grams` hold rows under hashes, `pairs` counts under two rows."""

    folder: Path
    num_rows: int = MAX_ROWS - 1
    """At most, until all rows were spilled."""

    @property
    def keys(self) -> SpillRoom:
        """Whole texts."""
        return SpillRoom(self.folder / "keys")

    @property
    def grams(self) -> SpillRoom:
        """N-grams."""
        return SpillRoom(self.folder / "grams")

    @property
    def pairs(self) -> SpillRoom:
        """Pairs of rows, the smaller one first."""
        return SpillRoom(self.folder / "pairs", 32 + max(1, self.num_rows).bit_length())

    @property
    def copies(self) -> Path:
        """For each row whether an earlier one has the same words."""
        return self.folder / "copies.npy"

    @property
    def num_grams(self) -> Path:
        """For each row the number of its n-grams that count."""
        return self.folder / "num_grams.npy"

    @property
    def levels(self) -> Path:
        """For each row how much it is edited, where it may be of a crowd (curation/crowds.edit_levels)."""
        return self.folder / "levels.npy"

    @property
    def crowds(self) -> Path:
        """A folder: rows that may be of a crowd, and rows that joined one (crowd_rows.py)."""
        return self.folder / "crowds"


@contextmanager
def spilling(scratch: Path) -> Iterator[Rooms]:
    """Empty rooms in a folder of their own in `scratch`, which is removed at the end."""
    with scratch_folder(scratch) as folder:
        rooms = Rooms(folder)
        for room in (rooms.keys, rooms.grams, rooms.pairs):
            room.folder.mkdir()
        rooms.crowds.mkdir()
        yield rooms
