r"""How mathematics is spelled: what the default rule of `words.py` drops, unifies and skips. Data, no mechanism.

A word of a question is what is left when layout is gone: `\dfrac{1}{2}`, `$\frac {1} {2}$`, `\frac12` and `1/2` are
the words 1, /, 2. Commands lose their backslash, so that `\sin x` is `sin x` and `\triangle ABC` is `triangle ABC`.
Signs that change a formula stay words of their own: + - = < > ^ / % | and the factorial.
"""

SEPARATORS = '(){}[]$~"`;:?_&#@'
"""ASCII marks that end a word and are dropped, as white space is. The comma is none of them: numbers have it."""

SIGNS = "+=<>^/%|"
"""Always words of their own."""

LAYOUT = frozenset(
    """left right big bigl bigr bigg biggl biggr bigm middle displaystyle textstyle scriptstyle limits nolimits quad
    qquad hspace vspace hfill hline noindent par newline phantom hphantom vphantom smash mathstrut strut nonumber notag
    text textbf textit textrm textsf texttt textnormal textup emph mathrm mathbf mathit mathsf mathtt mathcal mathbb
    mathfrak mathscr boldsymbol bm pmb mbox hbox fbox operatorname underline ensuremath rm bf it sf tt cal boxed
    overbrace underbrace cdot cdotp times ast dots ldots cdots dotsc dotsb dotsm ddots vdots bullet item label lbrace
    rbrace lparen rparen lbrack rbrack langle rangle""".split()  # noqa: SIM905 - a hundred quotation marks hide the words
)
r"""Commands that say how something looks, and marks of multiplication, so that `2\cdot x`, `2*x` and `2x` are the same.

Only after a backslash: the English words left, right and times stay.
"""

BRACED = r"\{((?:[^{}\0]|\{[^{}\0]{0,100}\}){0,100})\}"

FIGURE = r"\[asy\]([^\0]*?)\[/asy\]"
"""The code of a figure in Asymptote: one word, so that it is no evidence, but another figure makes another question."""

REWRITTEN: tuple[tuple[str, str, str], ...] = (
    ("&lt;", "&lt;", "<"),
    ("&gt;", "&gt;", ">"),
    ("&nbsp;", "&nbsp;", " "),
    ("\\begin", r"\\begin\{[a-z]+\*?\}(?:\{[lcr|@ ]{0,20}\})?", " "),
    ("\\end", r"\\end\{[a-z]+\*?\}", " "),
    ("\\tag", r"\\tag\*?\{[^{}\0]{0,20}\}", " "),
    ("^{", r"\^\{(?:\s|\\[,;!])*\}", " "),
    ("{,}", r"\{,\}", ","),
    ("\\!", r"\\!", ""),
    ("frac", rf"\\[dtc]?frac\s*{BRACED}\s*{BRACED}", " %s / %s "),
    ("frac", r"\\[dtc]?frac\s*(\d)\s*(\d)", " %s/%s "),
    (">", r"</?(?:p|br|b|i|u|em|strong|span|div|ul|ol|li|center|sub)(?:\s[a-z]+=\"[^\"<>\0]{0,100}\")*\s*/?>", " "),
    ("[", r"\[/?(?:b|i|u|hide|img|url|size|color|center)(?:=[^\]\n\0]{0,40})?\]", " "),
)
r"""What a text is rewritten to before it is cut: a string that all matches have, a regular expression, its replacement
(`%s` is a group). None matches over the character 0, which ends a text in a batch.

Entities of HTML; environments of LaTeX with their columns; numbers of equations; empty scripts; braced commas and
negative spaces, as in 10,\!000; fractions, written `a / b`; marks of HTML and of forums.
"""

SYNONYMS: dict[str, str] = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac",
    "dbinom": "binom", "tbinom": "binom", "choose": "binom",
    "le": "<=", "leq": "<=", "leqslant": "<=", "leqq": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "geqq": ">=",
    "lt": "<", "gt": ">", "neq": "ne", "rightarrow": "to", "longrightarrow": "to", "mapsto": "to", "implies": "to",
    "leftrightarrow": "iff", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "degree": "^circ", "bmod": "mod",
    "pmod": "mod", "div": "/", "emptyset": "varnothing", "widehat": "hat", "bar": "overline", "prime": "'",
    "varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta", "wedge": "land", "vee": "lor", "bot": "perp",
    "measuredangle": "angle", "equal": "=", "plus": "+", "minus": "-", "vartriangle": "triangle", "lnot": "neg",
}  # fmt: skip
"""Commands that mean another command or sign; both sides without backslash."""

SYMBOLS: dict[str, str] = {
    "−": "-", "–": "-", "—": " ", "―": " ", "‐": "-", "‑": "-", "‒": "-", "﹣": "-", "－": "-",
    "×": " ", "·": " ", "⋅": " ", "∙": " ", "•": " ", "∗": " ", "…": " ", "⋯": " ", "⋮": " ", "÷": "/", "⁄": "/",
    "∕": "/", "≤": "<=", "⩽": "<=", "≦": "<=", "≥": ">=", "⩾": ">=", "≧": ">=", "≠": " ne ", "→": " to ", "⟶": " to ",
    "⇒": " to ", "⇔": " iff ", "∈": " in ", "∉": " notin ", "∪": " cup ", "∩": " cap ", "⊂": " subset ",
    "⊆": " subseteq ", "∅": " varnothing ", "∞": " infty ", "±": " pm ", "∓": " mp ", "∑": " sum ", "∏": " prod ",
    "∫": " int ", "√": " sqrt ", "∠": " angle ", "∡": " angle ", "△": " triangle ", "∆": " triangle ", "⊥": " perp ",
    "∥": " parallel ", "∣": "|", "∘": " circ ", "°": "^circ ", "º": "^circ ", "′": "'", "″": "''", "’": "'", "‘": "'",
    "“": " ", "”": " ", "«": " ", "»": " ", "≡": " equiv ", "≈": " approx ", "∼": " sim ", "≅": " cong ",
    "∀": " forall ", "∃": " exists ", "∧": " land ", "∨": " lor ", "¬": " neg ", "⌊": " lfloor ", "⌋": " rfloor ",
    "⌈": " lceil ", "⌉": " rceil ", "²": "^2 ", "³": "^3 ", "¹": "^1 ", "⁰": "^0 ", "⁴": "^4 ", "⁵": "^5 ", "⁶": "^6 ",
    "⁷": "^7 ", "⁸": "^8 ", "⁹": "^9 ", "ⁿ": "^n ", "½": " 1/2 ", "⅓": " 1/3 ", "¼": " 1/4 ",
    "α": " alpha ", "β": " beta ", "γ": " gamma ", "δ": " delta ", "ε": " epsilon ", "ϵ": " epsilon ", "ζ": " zeta ",
    "η": " eta ", "θ": " theta ", "ϑ": " theta ", "ι": " iota ", "κ": " kappa ", "λ": " lambda ", "μ": " mu ",
    "ν": " nu ", "ξ": " xi ", "π": " pi ", "ρ": " rho ", "σ": " sigma ", "ς": " sigma ", "τ": " tau ",
    "υ": " upsilon ", "φ": " phi ", "ϕ": " phi ", "χ": " chi ", "ψ": " psi ", "ω": " omega ",
    "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "", "\u00ad": "", "\u2061": "", "\u2062": " ",
}  # fmt: skip
"""Characters and what they are read as, before NFKC, which would lose what superscripts mean."""

INSTRUCTIONS: tuple[str, ...] = (
    "Let's think step by step and output the final answer within \\boxed{}.",
    "Let's think step by step.",
    "Please think step by step.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "Please reason step by step.",
    "Reason step by step.",
    "Think step by step.",
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "$Answer (without quotes) where $Answer is the answer to the problem.",
    "Solve the following math problem step by step.",
    "Solve the following math problem efficiently and clearly.",
    "The last line of your response should be of the form Answer: $Answer (without quotes) where $Answer is the answer "
    "to the problem.",
    'Remember to put your answer on its own line after "Answer:".',
    "Put your final answer within \\boxed{}.",
    "Put your answer within \\boxed{}.",
    "Please put your final answer within \\boxed{}.",
    "Output the final answer within \\boxed{}.",
    "Return your final response within \\boxed{}.",
    "Return your final answer within \\boxed{}.",
    "Make sure to put the answer (and only answer) inside \\boxed{}.",
    "Answer the following multiple choice question.",
    "Please provide your final answer as a single integer.",
    "Express your answer as a common fraction.",
    "Express your answer in simplest form.",
    "Express your answer in simplest radical form.",
    "Express your answer as a decimal.",
    "Express your answer in interval notation.",
    "Express your answer as a mixed number.",
    "Give your answer as a common fraction.",
    "Give your answer in simplest form.",
    "Round your answer to the nearest whole number.",
    "Round your answer to the nearest tenth.",
    "Round your answer to the nearest hundredth.",
    "Please solve the programming task below using a self-contained code snippet in a markdown code block.",
    "Please complete the following python code precisely:",
)
"""What data sets append to a question or put before it; left out of what is compared, wherever it stands."""
