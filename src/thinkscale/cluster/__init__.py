"""Work on many processors: rows over processes, partitions over processes or Ray, and the files between them."""

from thinkscale.cluster.attempts import Partition
from thinkscale.cluster.backends import HERE, Backend, backend
from thinkscale.cluster.partitions import connected, map_partitions
from thinkscale.cluster.pool import CHUNK_ITEMS, CHUNKS_AHEAD, ordered_map
from thinkscale.cluster.processes import Job, Work

__all__ = [
    "CHUNKS_AHEAD",
    "CHUNK_ITEMS",
    "HERE",
    "Backend",
    "Job",
    "Partition",
    "Work",
    "backend",
    "connected",
    "map_partitions",
    "ordered_map",
]
