"""Domains and subjects: what a question is about, as its source or a model says it.

A domain is a class of the first level of the Mathematics Subject Classification (MSC2020, msc2020.org). Two of its 63
classes are left out, as in s1 (data/msc.json): 00 (general) and 01 (history), which say nothing of the mathematics
needed. 61 remain. A subject is coarser and is for science, where one class (92) holds both chemistry and biology.

What a source says is taken as a label of its own (`by` is `source`). Rejected: columns for it on a problem, since
whoever reads labels should not have to know where a label came from.
"""

from thinkscale.records import Label, Problem

UNKNOWN = "unknown"

DOMAINS: dict[str, str] = {
    "03": "Mathematical logic and foundations",
    "05": "Combinatorics",
    "06": "Order, lattices, ordered algebraic structures",
    "08": "General algebraic systems",
    "11": "Number theory",
    "12": "Field theory and polynomials",
    "13": "Commutative algebra",
    "14": "Algebraic geometry",
    "15": "Linear and multilinear algebra; matrix theory",
    "16": "Associative rings and algebras",
    "17": "Nonassociative rings and algebras",
    "18": "Category theory; homological algebra",
    "19": "K-theory",
    "20": "Group theory and generalizations",
    "22": "Topological groups, Lie groups",
    "26": "Real functions",
    "28": "Measure and integration",
    "30": "Functions of a complex variable",
    "31": "Potential theory",
    "32": "Several complex variables and analytic spaces",
    "33": "Special functions",
    "34": "Ordinary differential equations",
    "35": "Partial differential equations",
    "37": "Dynamical systems and ergodic theory",
    "39": "Difference and functional equations",
    "40": "Sequences, series, summability",
    "41": "Approximations and expansions",
    "42": "Harmonic analysis on Euclidean spaces",
    "43": "Abstract harmonic analysis",
    "44": "Integral transforms, operational calculus",
    "45": "Integral equations",
    "46": "Functional analysis",
    "47": "Operator theory",
    "49": "Calculus of variations and optimal control; optimization",
    "51": "Geometry",
    "52": "Convex and discrete geometry",
    "53": "Differential geometry",
    "54": "General topology",
    "55": "Algebraic topology",
    "57": "Manifolds and cell complexes",
    "58": "Global analysis, analysis on manifolds",
    "60": "Probability theory and stochastic processes",
    "62": "Statistics",
    "65": "Numerical analysis",
    "68": "Computer science",
    "70": "Mechanics of particles and systems",
    "74": "Mechanics of deformable solids",
    "76": "Fluid mechanics",
    "78": "Optics, electromagnetic theory",
    "80": "Classical thermodynamics, heat transfer",
    "81": "Quantum theory",
    "82": "Statistical mechanics, structure of matter",
    "83": "Relativity and gravitational theory",
    "85": "Astronomy and astrophysics",
    "86": "Geophysics",
    "90": "Operations research, mathematical programming",
    "91": "Game theory, economics, social and behavioral sciences",
    "92": "Biology and other natural sciences",
    "93": "Systems theory; control",
    "94": "Information and communication, circuits",
    "97": "Mathematics education",
}

SUBJECTS: tuple[str, ...] = (
    "mathematics",
    "physics",
    "chemistry",
    "biology",
    "astronomy",
    "earth science",
    "computer science",
    "economics",
    "engineering",
    "psychology",
    "law",
    "linguistics",
    "other",
)
"""Subjects by name. The list is ours: the fields of the science sets of s1's pool, and what lies beside them."""

SOURCE = "source"
"""Who says what a source says."""

_CODES = {title.casefold(): code for code, title in DOMAINS.items()}


def domain_code(text: str) -> str:
    """The code of a class that is given by code or by title; any other text as it is, without spaces around it.

    A value need not be a code of `DOMAINS`: a source may have its own names, and a sampler only needs groups.
    """
    text = text.strip()
    return _CODES.get(text.casefold(), text)


def given_domain(problem: Problem) -> Label | None:
    """The domain that the source gives in `extra["domain"]`; None where it gives none."""
    given = problem.extra.get("domain")
    value = domain_code(str(given)) if given is not None else ""
    return Label(problem_id=problem.id, name="domain", value=value, by=SOURCE) if value else None


def given_subject(problem: Problem) -> Label | None:
    """The subject that the source gives in `extra["subject"]`, where it is one of ours; sources have many others."""
    given = problem.extra.get("subject")
    value = given.strip().casefold().replace("_", " ") if isinstance(given, str) else ""
    return Label(problem_id=problem.id, name="subject", value=value, by=SOURCE) if value in SUBJECTS else None


def domain_of(problem: Problem) -> Label:
    """The domain that the source gives; `unknown` where it gives none."""
    missing = Label(
        problem_id=problem.id, name="domain", value=UNKNOWN, by=SOURCE, evidence="the source gives no domain"
    )
    return given_domain(problem) or missing
