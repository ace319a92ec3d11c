// Words and pieces of the page. Text of models enters it as text and never as markup.

const VERDICTS = {
  correct: "✓ correct", wrong: "✗ wrong", no_answer: "∅ no answer", cut_off: "✂ cut off",
  ungradable: "? ungradable", not_graded: "– not graded",
};
const FINISHES = {
  end: "ended by itself", length: "cut by a token limit", budget: "thinking cut at its budget", error: "failed",
};
const ROLES = { evaluation: "evaluation", teacher: "teacher", weak: "weak model" };
const count = (number) => number.toLocaleString("en-US");

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const settingName = ({ method_name: method, label }) => `${method}, ${label}`;

const whatOf = (row) => [row.benchmark || ROLES[row.role], row.model].filter(Boolean).join(" · ");

// Text with the words that were searched for marked.
const marked = (target, text, terms) => {
  if (!terms.length) { target.append(text); return; }
  const pattern = new RegExp(terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "gi");
  let last = 0;
  for (const found of text.matchAll(pattern)) {
    target.append(text.slice(last, found.index), element("mark", { class: "hit" }, found[0]));
    last = found.index + found[0].length;
  }
  target.append(text.slice(last));
};
