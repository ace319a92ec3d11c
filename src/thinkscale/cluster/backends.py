"""Where partitions are worked on: this process, processes of this machine, or a Ray cluster. One setting chooses."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thinkscale.errors import ConfigError

if TYPE_CHECKING:
    from thinkscale.cluster.pool import Crew

FORMS = "local (every core of this machine), local:2 (so many processes), ray:auto (the Ray cluster of this machine), "
FORMS += "or ray:HOST:PORT"


@dataclass(frozen=True, slots=True)
class Backend:
    """`workers` processes of this machine, where a single one is this process; or a Ray cluster, by its `address`."""

    workers: int = 1
    address: str = ""
    crew: "Crew | None" = field(default=None, compare=False)
    """The processes, where they stay for several maps (`connected`)."""

    @property
    def is_ray(self) -> bool:
        """Whether the work goes to a Ray cluster."""
        return bool(self.address)


HERE = Backend()


def backend(setting: str) -> Backend:
    """The backend that a setting such as `local:2` names. Raises ConfigError for one that names none."""
    kind, colon, rest = setting.partition(":")
    if kind == "ray":
        if colon and not rest:
            raise ConfigError(f"workers {setting!r}: an address is missing after the colon; there is {FORMS}")
        return Backend(address=rest or "auto")
    if setting == "local":
        return Backend(workers=os.cpu_count() or 1)
    if kind == "local" and rest.isascii() and rest.isdigit() and int(rest) > 0:
        return Backend(workers=int(rest))
    raise ConfigError(f"workers {setting!r}: there is {FORMS}")
