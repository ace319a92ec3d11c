// Where rows come from: the page itself (packed), or a server. Both answer alike.

const PAGE = 100; // rows that a server is asked for at once

const termsOf = (text) => [...new Set(
  [...text.matchAll(/"([^"]+)"|(\S+)/g)].map((found) => (found[1] ?? found[2]).toLowerCase()),
)];

// Which settings the filters ask for; null where they ask for none.
const settingsFor = (settings, filters) => {
  const names = ["method", "budget", "waits", "variant"].filter((name) => filters[name]);
  if (!names.length) return null;
  const same = (setting) => names.every((name) => String(setting[name] ?? "none") === filters[name]);
  return new Set(settings.flatMap((setting, at) => (same(setting) ? [at] : [])));
};

// All rows in the page.
class PackedRows {
  static async from(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new PackedRows(await new Response(stream).json());
  }

  constructor(whole) {
    Object.assign(this, whole);
    this.texts = new Array(this.rows.length);
    this.places = new Map(this.rows.map((row, place) => [row.key, place]));
  }

  text(place) {
    if (this.texts[place] === undefined) {
      const { thinking, answer } = this.details[place];
      const { id, question } = this.problems[this.rows[place].problem];
      const thought = Array.isArray(thinking) ? thinking.join("") : thinking;
      this.texts[place] = [thought, answer, id, question].join("\n\n").toLowerCase();
    }
    return this.texts[place];
  }

  fits(row, filters, settings) {
    for (const name of ["role", "benchmark", "model"]) if (filters[name] && row[name] !== filters[name]) return false;
    if (!settings) return !filters.verdict || row.verdict === filters.verdict;
    return row.settings.some((setting, at) => settings.has(setting)
      && (!filters.verdict || (row.verdicts ? row.verdicts[at] : row.verdict) === filters.verdict));
  }

  async query(filters, find) {
    const settings = settingsFor(this.settings, filters);
    const terms = termsOf(filters.q || "");
    const found = [];
    this.rows.forEach((row, place) => {
      if (this.fits(row, filters, settings) && terms.every((term) => this.text(place).includes(term))) found.push(place);
    });
    const tokens = (place) => this.rows[place].thinking_tokens;
    if (filters.order === "shortest") found.sort((a, b) => tokens(a) - tokens(b) || a - b);
    if (filters.order === "longest") found.sort((a, b) => tokens(b) - tokens(a) || a - b);
    const position = find && this.places.has(find) ? found.indexOf(this.places.get(find)) : -1;
    return {
      total: found.length, complete: true, position: position < 0 ? null : position,
      row: (at) => this.rows[found[at]],
      problem: (row) => this.problems[row.problem],
      want: async () => {},
    };
  }

  async open(key) {
    const place = this.places.get(key);
    if (place === undefined) return null;
    const row = this.rows[place];
    return { row, detail: this.details[place], problem: this.problems[row.problem] };
  }
}

// Rows of a server, in pages.
class ServedRows {
  static async from(base) {
    return new ServedRows(base, await (await fetch(`${base}index`)).json());
  }

  constructor(base, index) {
    this.base = base;
    Object.assign(this, index);
  }

  async ask(filters, offset, find, quick) {
    const given = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
    given.set("offset", offset);
    given.set("limit", PAGE);
    if (find) given.set("find", find);
    if (quick) given.set("quick", "1");
    const response = await fetch(`${this.base}rows?${given}`);
    const page = await response.json();
    if (!response.ok) throw new Error(page.error);
    return page;
  }

  async query(filters, find, quick) {
    const first = await this.ask(filters, 0, find, quick);
    const pages = new Map([[0, first]]);
    const problems = new Map(Object.entries(first.problems));
    const row = (at) => pages.get(Math.floor(at / PAGE))?.rows?.[at % PAGE];
    const want = async (from, to) => {
      const missing = [];
      for (let page = Math.floor(from / PAGE); page <= Math.floor(to / PAGE); page += 1) if (!pages.has(page)) missing.push(page);
      await Promise.all(missing.map(async (page) => {
        pages.set(page, {}); // asked for
        const got = await this.ask(filters, page * PAGE);
        Object.entries(got.problems).forEach(([place, problem]) => problems.set(place, problem));
        pages.set(page, got);
      }));
      return missing.length > 0;
    };
    return {
      total: first.total, complete: first.complete, scanned: first.scanned, position: first.position ?? null,
      row, want, problem: (item) => problems.get(String(item.problem)),
    };
  }

  async open(key) {
    const response = await fetch(`${this.base}trace?key=${encodeURIComponent(key)}`);
    return response.ok ? response.json() : null;
  }
}
