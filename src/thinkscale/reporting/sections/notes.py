"""The fixed words under tables: how to read them, and where a definition comes from."""

RESOLUTION = (
    "The smallest paired difference that so many problems show with 80% power at a two-sided level of 5% "
    "(Connor 1987). Worst case: half of all pairs are discordant. Smaller differences may be real, but are likely to "
    "be missed here. A comparison is called beyond noise where its 95% interval leaves zero out and a sign-flip "
    "test agrees after correction for the number of comparisons (Holm; p < 0.05)."
)
CERTIFICATE = (
    "A sample of the evaluation's trajectories was generated a second time and compared token for token: alone, and "
    "shuffled with the others of the sample, since the shape of a batch can move a near tie. The interval is Wilson's."
)
GRADERS = (
    "Truncation of the main model, {number} responses: as this run graded them, by our rules alone, and by what other "
    "harnesses do. The range is what the choice of the grader alone moves. `thinkscale regrade` says it of every cell."
)
DECIDED = "Verdicts on the evaluation's responses by the rule that gave them. Each response counts once."
METRICS = (
    "In brackets: 95% bootstrap intervals over problems. Control: share of generations within their budget (at most "
    "10 tokens past it). Control of cells: share of cells whose mean lies within the budget, the form that the s1 "
    "paper prints. Budget error: how far the nearest cell's mean lies from the targets ({targets} tokens), on average. "
    "Scaling, in points per 1,000 tokens and per doubling: mean slope over all pairs of cells; the s1 paper's printed "
    "numbers are points per doubling. Pairs of cells that think almost equally long can have very steep slopes; wide "
    "intervals tell of them. The interval of a maximum leans upward, since chance lifts one of several equal cells. "
    "The cells of votes and choices are answers made of k samples, from one up, without a budget or else with the "
    "largest; their tokens are those of all k."
)
COMPARISONS = (
    "Second minus first on the same problems; cut-off and ungradable responses count as not correct. Each table "
    "answers one question and is corrected for the number of its comparisons: p by Holm, the corrected interval by the "
    "largest |t| over resamples, so that all intervals of a table hold together. The judgement follows these."
)
FLIPS = (
    "Each row follows the answers of one curve from one number of waits to the next; right means correct, wrong is "
    "everything else. Net: what the accuracy gains. No room for it: the budget was used up before, so that both sides "
    "are one response. Whether a net change is beyond noise stands in the paired comparisons."
)
LOOPS = (
    "A loop: the last 300 characters or more of the thinking are one unit at least five times (the rule that curation "
    "uses). The same response can be read by several cells."
)
COSTS = (
    "Seconds are of the clock while the evaluation worked, grading included; they and joules are measured over the "
    "whole sweep, so what one answer of a cell takes is worked out: the tokens of a run of its own times the sweep's "
    "seconds, joules and dollars a token. A run of its own may be slower or faster a token. Energy is that of the "
    "whole machine ({sources})."
)
FRONTIER = (
    "On the frontier: no other cell of the same model is at least as accurate with fewer generated tokens. Generated: "
    "thinking and answer of every sample that one answer is made of, thrown-away attempts included, as a run of its "
    "own would generate them."
)
REFERENCES = (
    "Each problem's reference, given back as an answer, must be graded as correct; the reference of the next problem "
    "whose reference is written otherwise must not. Accepted others can be equal values in two spellings. By rules "
    "alone; programs are not checked so."
)
AGREEMENT = "Counted over all scores as they are stored. In a sound evaluation each number of exceptions is 0."
EXPECTATIONS = (
    "Each expectation is held against every case that this run has of it. Beyond noise: the 95% interval leaves zero "
    "out and the corrected test agrees."
)
DEVIATIONS = "Settings that differ from the recipe {name}, which holds the paper's; {agreeing} others are the same."
CELLS = (
    "Counts of each verdict add up to the scores of the cell. Accuracy: correct over all scores, in brackets its 95% "
    "bootstrap interval over problems (Wilson's where all scores agree). Accuracy of finished: correct over the scores "
    "that were not cut off. Over budget: thinking of more than 10 tokens past the budget."
)
ACCOUNTING = (
    "Answered: correct or wrong. No answer: the response ended without one. Cut in thinking: the limit came before an "
    "answer was asked for; cut in answer: within it. Each share is of all scores of the row. The two accuracies bound "
    "what a larger limit could have given. Alarm: more than 10% cut off in some cell."
)
SAMPLES = (
    "Chosen by a rule, not by hand: for each benchmark and method of {model} one right and one wrong response, and one "
    "answer that a wait turned each way, drawn at random (seed {seed}) among all that fit. Text that we put into the "
    "thinking (wait strings) is marked; everything else in it is the model's."
)
HELD_OUT = (
    "Rows of the training set that were kept from training, drawn by seed. The loss is the mean over their trained "
    "tokens; foreseen are tokens that were the model's likeliest. They tell of learning by heart, not of solving "
    "problems."
)
