// The list: rows as a listbox, of which only those in sight are in the page.

const HEIGHT = 60; // of a row, as the style has it
const MOST_ROWS = 200000; // browsers bound the height of a page

class List {
  constructor(open) {
    this.open = open;
    this.active = 0;
    this.node = element("div", {
      class: "rows", role: "listbox", tabindex: "0", "aria-label": "Responses; arrow keys choose, Enter opens",
    });
    this.filler = element("div", { class: "filler", role: "presentation" });
    this.node.append(this.filler);
    this.node.addEventListener("scroll", () => this.drawSoon());
    this.node.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.drawSoon()).observe(this.node);
  }

  show(result, active, settings, wanted) {
    this.result = result;
    this.settings = settings;
    this.wanted = wanted;
    this.shown = Math.min(result.total, MOST_ROWS);
    this.filler.style.height = `${this.shown * HEIGHT}px`;
    this.activate(active ?? 0, active !== null);
  }

  activate(at, scroll) {
    this.active = Math.max(0, Math.min(at, this.shown - 1));
    if (scroll) {
      const top = this.active * HEIGHT;
      const { scrollTop, clientHeight } = this.node;
      if (top < scrollTop) this.node.scrollTop = top;
      else if (top + HEIGHT > scrollTop + clientHeight) this.node.scrollTop = top + HEIGHT - clientHeight;
    }
    this.draw();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.node.clientHeight / HEIGHT) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves) this.activate(this.active + moves[event.key], true);
    else if (event.key === "Enter" || event.key === " ") this.choose(this.active);
    else return;
    event.preventDefault();
  }

  choose(at) {
    this.activate(at, true);
    const row = this.result.row(this.active);
    if (row) this.open(row.key);
  }

  drawSoon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  async draw() {
    const result = this.result;
    if (!result) return;
    const first = Math.max(0, Math.floor(this.node.scrollTop / HEIGHT) - 8);
    const last = Math.min(this.shown - 1, Math.ceil((this.node.scrollTop + this.node.clientHeight) / HEIGHT) + 8);
    const rows = [];
    for (let at = first; at <= last; at += 1) rows.push(this.row(at));
    if (this.active < first && this.shown) rows.unshift(this.row(this.active));
    if (this.active > last && this.shown) rows.push(this.row(this.active));
    this.filler.replaceChildren(...rows);
    if (this.shown) this.node.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.node.removeAttribute("aria-activedescendant");
    if (this.shown && await result.want(first, last) && this.result === result) this.drawSoon();
  }

  row(at) {
    const row = this.result.row(at);
    const made = element("div", {
      class: at === this.active ? "row active" : "row", role: "option", id: `row-${at}`,
      "aria-posinset": at + 1, "aria-setsize": this.shown, "aria-selected": at === this.active,
    });
    made.style.top = `${at * HEIGHT}px`;
    if (!row) { made.append("…"); return made; }
    const problem = this.result.problem(row);
    const asked = row.settings.find((setting) => this.wanted?.has(setting)) ?? row.settings[0];
    const more = row.settings.length > 1 ? ` + ${row.settings.length - 1} more` : "";
    made.append(
      element("div", { class: "line" },
        element("span", { class: `verdict ${row.verdict}` }, VERDICTS[row.verdict] ?? row.verdict),
        element("span", { class: "what" }, whatOf(row)),
        element("span", { class: "tokens" }, `${count(row.thinking_tokens)} tokens`)),
      element("p", { class: "question" },
        element("span", { class: "setting" }, asked === undefined ? "" : `${settingName(this.settings[asked])}${more} · `),
        problem.question),
    );
    made.addEventListener("click", () => this.choose(at));
    return made;
  }
}
