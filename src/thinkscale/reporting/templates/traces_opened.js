// One response in full.

const thinkingOf = (detail, row, terms) => {
  const block = element("pre", { class: "thinking", tabindex: "0", "aria-label": "Thinking" });
  const pieces = Array.isArray(detail.thinking) ? detail.thinking : [detail.thinking];
  pieces.forEach((piece, at) => {
    if (at % 2 === 0) { marked(block, piece, terms); return; }
    const forced = element("mark", { class: "forced", title: "forced: put there by us" });
    marked(forced, piece, terms);
    block.append(forced);
  });
  const isCut = row.finish === "budget" || (row.finish === "length" && !detail.answer);
  if (isCut) {
    const why = row.finish === "budget" ? "cut at the budget" : "cut by the limit, never ended";
    block.append("\n", element("span", { class: "cut" }, `✂ ${why}: ${count(row.thinking_tokens)} tokens`));
  }
  const forced = detail.forced ?? [];
  const spans = forced.length ? `, ${count(forced.length)} forced ${forced.length === 1 ? "span" : "spans"}` : "";
  const summary = `Thinking: ${count(row.thinking_tokens)} tokens${spans}${isCut ? ", cut" : ""}`;
  const made = element("details", { open: "" }, element("summary", {}, summary), block);
  if (forced.length && !Array.isArray(detail.thinking)) {
    const places = forced.map(([start, end]) => `${count(start)} to ${count(end)}`).join("; ");
    made.append(element("p", { class: "note" },
      `Forced tokens (not marked: the stored text gives other tokens than were generated, or the tokenizer is not here): ${places}.`));
  }
  return made;
};

const factsOf = (facts) => element("dl", { class: "facts" }, ...facts
  .filter(([, value]) => value !== null && value !== undefined && value !== "")
  .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));

const choicesOf = (problem) => {
  if (!problem.choices?.length) return [];
  const items = problem.choices.map((choice, at) => element("li", {}, `${String.fromCharCode(65 + at)}. ${choice}`));
  return [element("h4", {}, "Choices"), element("ul", {}, ...items)];
};

const gradesOf = (detail) => detail.grades.flatMap((grade) => [
  element("h4", {}, `Grade by ${grade.grader}`),
  factsOf([["verdict", VERDICTS[grade.verdict] ?? grade.verdict], ["extracted answer", grade.extracted ?? "none"],
    ["tier that decided", grade.tier]]),
  ...(grade.evidence ? [element("h4", {}, "Evidence"), element("pre", {}, grade.evidence)] : []),
]);

const settingsOf = (settings, row) => {
  const names = row.settings.map((at) => settingName(settings[at]));
  if (!names.length) return [];
  const items = names.map((name, at) => {
    const verdict = row.verdicts ? `: ${VERDICTS[row.verdicts[at]] ?? row.verdicts[at]}` : "";
    return element("li", {}, name + verdict);
  });
  const many = `Read by ${count(names.length)} ${names.length === 1 ? "cell" : "cells"}`;
  return [element("details", names.length > 6 ? {} : { open: "" }, element("summary", {}, many), element("ul", {}, ...items))];
};

const openedOf = ({ row, detail, problem }, settings, terms) => {
  const question = element("pre", {});
  marked(question, problem.question, terms);
  const answer = element("pre", {});
  marked(answer, detail.answer, terms);
  const { sampling, usage } = detail;
  return [
    element("h3", {}, element("span", { class: `verdict ${row.verdict}` }, VERDICTS[row.verdict] ?? row.verdict),
      ` ${problem.id}, sample ${row.sample}`),
    factsOf([
      ["benchmark", row.benchmark], ["model", row.model],
      ["reference", problem.reference ?? "none"], ["extracted answer", row.extracted ?? "none"],
      ["thinking tokens", count(row.thinking_tokens)], ["answer tokens", count(row.answer_tokens)],
      ["how it ended", FINISHES[row.finish] ?? row.finish], ["error", detail.error],
    ]),
    ...settingsOf(settings, row),
    element("h4", {}, "Question"), question, ...choicesOf(problem),
    thinkingOf(detail, row, terms),
    element("h4", {}, "Answer"), answer,
    ...gradesOf(detail),
    element("details", {}, element("summary", {}, "Source, sampling, key"), factsOf([
      ["part", ROLES[row.role] ?? row.role], ["kind", problem.kind], ["source", problem.source],
      ["prompt tokens", count(usage.prompt_tokens)], ["attempts", detail.attempts],
      ["sampling", `temperature ${sampling.temperature}, top-p ${sampling.top_p}`], ["key", row.key],
    ])),
  ];
};
