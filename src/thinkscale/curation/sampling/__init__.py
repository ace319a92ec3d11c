"""Which of the rows that pass the filters are trained on: s1's sampler, better ones, and the paper's ablations."""

from thinkscale.curation.sampling.drawing import select
from thinkscale.curation.sampling.mixed import Mix, select_mixed
from thinkscale.curation.sampling.quotas import quotas
from thinkscale.curation.sampling.samplers import ALL, SAMPLERS, Domains, LastPhase, Sampler, Within, named_sampler
from thinkscale.curation.sampling.selection import Candidate, Pick, Selection, jaccard
from thinkscale.curation.sampling.uniformity import Uniformity, against_uniform

__all__ = [
    "ALL",
    "SAMPLERS",
    "Candidate",
    "Domains",
    "LastPhase",
    "Mix",
    "Pick",
    "Sampler",
    "Selection",
    "Uniformity",
    "Within",
    "against_uniform",
    "jaccard",
    "named_sampler",
    "quotas",
    "select",
    "select_mixed",
]
