"""The fixed words under tables: how to read them, and where a definition comes from."""

RESOLUTION = (
    "The smallest paired difference that so many problems show with 80% power at a two-sided level of 5% "
    "(Connor 1987). Worst case: half of all pairs are discordant. Smaller differences may be real, but are likely to "
    "be missed here. A comparison is called beyond noise where its 95% interval leaves zero out and a sign-flip "
    "test agrees (p < 0.05); no correction is made for the number of comparisons."
)
METRICS = (
    "In brackets: 95% bootstrap intervals over problems. Control: share of generations within their budget (at most "
    "10 tokens past it). Control of cells: share of cells whose mean lies within the budget, the form that the s1 "
    "paper prints. Budget error: how far the nearest cell's mean lies from the targets ({targets} tokens), on average. "
    "Scaling, in points per 1,000 tokens and per doubling: mean slope over all pairs of cells; the s1 paper's printed "
    "numbers are points per doubling. Pairs of cells that think almost equally long can have very steep slopes; wide "
    "intervals tell of them. The interval of a maximum leans upward, since chance lifts one of several equal cells."
)
COMPARISONS = "Second minus first on the same problems; cut-off and ungradable responses count as not correct."
CELLS = (
    "Counts of each verdict add up to the scores of the cell. Accuracy: correct over all scores, in brackets its 95% "
    "bootstrap interval over problems (Wilson's where all scores agree). Accuracy of finished: correct over the scores "
    "that were not cut off. Over budget: thinking of more than 10 tokens past the budget."
)
ACCOUNTING = (
    "Answered: correct or wrong. No answer: the response ended without one. Cut off: a limit ended it. Each share is "
    "of all scores of the row. Alarm: more than 10% cut off in some cell."
)
SAMPLES = "Text that we put into the thinking (wait strings) is marked; everything else in it is the model's."
