"""Curation: faults with reasons, overlap, domains, difficulty, and the sampler."""

from thinkscale.curation.difficulty import PassRate, difficulty_label, is_too_easy, pass_rate
from thinkscale.curation.duplicates import Cluster, Duplicate, duplicates
from thinkscale.curation.ngrams import Document, Hit, NgramIndex, build_index, find_hits
from thinkscale.curation.quality import Fault, TraceLimits, question_faults, repetition_loop, response_faults
from thinkscale.curation.sampling import Candidate, Pick, Selection, select
from thinkscale.curation.taxonomy import DOMAINS, domain_of

__all__ = [
    "DOMAINS",
    "Candidate",
    "Cluster",
    "Document",
    "Duplicate",
    "Fault",
    "Hit",
    "NgramIndex",
    "PassRate",
    "Pick",
    "Selection",
    "TraceLimits",
    "build_index",
    "difficulty_label",
    "domain_of",
    "duplicates",
    "find_hits",
    "is_too_easy",
    "pass_rate",
    "question_faults",
    "repetition_loop",
    "response_faults",
    "select",
]
