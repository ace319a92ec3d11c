// Filters, list and opened response together. The address says what is shown, so that every view has a link.

const FILTERS = [
  ["role", "part"], ["benchmark", "benchmark"], ["model", "model"], ["method", "method"],
  ["budget", "budget (tokens)"], ["waits", "waits"], ["variant", "variant"], ["verdict", "verdict"],
];
const ORDERS = { stored: "as in the run", shortest: "shortest thinking", longest: "longest thinking" };

class Browser {
  constructor(node, source) {
    this.source = source;
    this.filters = {};
    this.form = this.makeForm();
    this.found = element("p", { role: "status", "aria-live": "polite" });
    this.clear = element("button", { type: "button" }, "Clear filters");
    this.clear.addEventListener("click", () => this.go({}));
    this.list = new List((key) => this.go({ ...this.asked(), trace: key }, true));
    this.opened = element("article", { class: "opened", tabindex: "-1", "aria-label": "The opened response" });
    this.opened.addEventListener("keydown", (event) => { if (event.key === "Escape") this.list.node.focus(); });
    this.close();
    node.classList.add("browser");
    node.replaceChildren(this.form, element("div", { class: "found" }, this.found, this.clear), this.list.node, this.opened);
    window.addEventListener("hashchange", () => this.fromAddress());
    this.fromAddress(true);
  }

  makeForm() {
    const form = element("form", { class: "filters", role: "search", "aria-label": "Filter the responses" });
    this.fields = {};
    const add = (name, title, field, kind = "") => {
      field.name = name;
      this.fields[name] = field;
      form.append(element("label", kind ? { class: kind } : {}, title, field));
    };
    add("q", "Search in question, thinking and answer (words, or \"a phrase\")",
      element("input", { type: "search", maxlength: "400", autocomplete: "off", spellcheck: "false" }), "search");
    for (const [name, title] of FILTERS) {
      const values = this.source.facets[name];
      if (values.length < 2) continue;
      const options = values.map((value) => element("option", { value }, this.label(name, value)));
      add(name, title, element("select", {}, element("option", { value: "" }, "all"), ...options));
    }
    const orders = Object.entries(ORDERS).map(([value, title]) => element("option", { value }, title));
    add("order", "order", element("select", {}, ...orders));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.go(this.asked()), event.target.name === "q" ? 200 : 0);
    });
    return form;
  }

  label(name, value) {
    if (name === "verdict") return VERDICTS[value] ?? value;
    if (name === "role") return ROLES[value] ?? value;
    if (name === "method") return this.source.settings.find((item) => item.method === value).method_name;
    if (name === "budget") return value === "none" ? "no budget" : count(value);
    return String(value);
  }

  // What the form asks for; typing that was not searched for yet is.
  asked() {
    clearTimeout(this.typing);
    const wanted = Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, field.value]));
    return { ...wanted, order: wanted.order === "stored" ? "" : wanted.order };
  }

  go(wanted, opens = false) {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(wanted)) if (value) given.set(name, value);
    const text = given.toString();
    this.focus = opens;
    const hash = text.startsWith("trace=") ? `#${text}` : `#traces${text ? `&${text}` : ""}`;
    window.history[opens ? "pushState" : "replaceState"](null, "", hash);
    this.fromAddress();
  }

  async fromAddress(first = false) {
    const given = new URLSearchParams(window.location.hash.slice(1));
    const ours = given.has("traces") || given.has("trace");
    if (!ours && !first) return;
    const filters = ours ? Object.fromEntries([...given].filter(([name]) => name in this.fields)) : {};
    const key = ours ? given.get("trace") : null;
    const changed = first || JSON.stringify(filters) !== JSON.stringify(this.filters);
    this.filters = filters;
    for (const [name, field] of Object.entries(this.fields)) {
      if (document.activeElement !== field) field.value = filters[name] ?? (name === "order" ? "stored" : "");
    }
    this.clear.hidden = !Object.keys(filters).length;
    if (ours && first) document.getElementById("traces").scrollIntoView();
    try {
      if (changed) await this.search(key);
      if (key && key !== this.key) await this.show(key);
      else if (!key) this.close();
      else if (this.focus) this.opened.focus();
    } catch (error) {
      this.found.textContent = `The responses could not be read: ${error.message}`;
    }
  }

  // Asks until the search has come to its end; what is found shows at once.
  async search(key) {
    const mine = {};
    this.searching = mine;
    let shown = false;
    for (;;) {
      const result = await this.source.query(this.filters, key, !shown);
      if (this.searching !== mine) return;
      const { settings } = this.source;
      this.list.show(result, shown ? this.list.active : result.position, settings, settingsFor(settings, this.filters));
      if (!shown && result.position === null) this.list.node.scrollTop = 0;
      shown = true;
      this.found.textContent = this.foundText(result);
      if (result.complete) return;
    }
  }

  foundText(result) {
    const all = this.source.num_all ?? this.source.rows.length;
    if (!result.complete) return `${count(result.total)} so far: searched ${count(result.scanned)} of ${count(all)} responses`;
    const many = result.total === all ? `${count(all)} responses` : `${count(result.total)} of ${count(all)} responses`;
    return result.total > MOST_ROWS ? `${many}; the list shows the first ${count(MOST_ROWS)}` : many;
  }

  close() {
    this.key = null;
    this.opened.replaceChildren(element("p", { class: "closed-note" }, "Choose a response to read it in full."));
  }

  async show(key) {
    const whole = await this.source.open(key);
    this.key = key;
    if (!whole) {
      this.opened.replaceChildren(element("p", { class: "closed-note" },
        "There is no response with this key here. If the page holds a part of the run, `thinkscale view` has the others."));
      return;
    }
    const bar = element("div", { class: "bar" });
    const button = (text, action, label) => {
      const made = element("button", { type: "button", "aria-label": label }, text);
      made.addEventListener("click", action);
      bar.append(made);
    };
    button("← previous", () => this.list.choose(this.list.active - 1), "previous response");
    button("next →", () => this.list.choose(this.list.active + 1), "next response");
    button("copy link", (event) => this.copy(event.target, key), "copy the link to this response");
    this.opened.replaceChildren(bar, ...openedOf(whole, this.source.settings, termsOf(this.filters.q || "")));
    if (this.focus) {
      this.opened.focus({ preventScroll: true });
      const { top } = this.opened.getBoundingClientRect();
      if (top < 0 || top > window.innerHeight * 0.6) this.opened.scrollIntoView();
    }
    this.focus = false;
  }

  async copy(button, key) {
    const link = window.location.href.replace(/#.*$/, `#trace=${key}`);
    try {
      await navigator.clipboard.writeText(link);
      button.textContent = "copied";
    } catch { // no permission, as in a page of a file
      window.prompt("The link to this response:", link);
    }
  }
}

const start = async () => {
  const node = document.getElementById("browser");
  if (!node) return;
  try {
    const source = node.dataset.served
      ? await ServedRows.from(node.dataset.served)
      : await PackedRows.from(document.getElementById("packed-traces").textContent);
    window.thinkscaleTraces = new Browser(node, source);
  } catch (error) {
    node.replaceChildren(element("p", { class: "note" }, `The responses could not be read: ${error.message}`));
  }
};
start();
