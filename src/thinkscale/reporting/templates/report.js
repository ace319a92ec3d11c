// Each picture becomes an interactive chart of the same specification. Where this script does not run, the picture stays;
// it is also what is printed.
(() => {
  const NARROW = 560;
  const BREAK = / · |: /;

  // Fits a specification to the page: panels below each other, bars no wider than the page, long labels on several lines.
  const fitted = (specification, width) => {
    const spec = JSON.parse(JSON.stringify(specification));
    if (spec.concat) {
      const widest = Math.max(...spec.concat.map((panel) => panel.width));
      spec.columns = Math.max(1, Math.min(spec.columns, Math.floor((width + 40) / (widest + 75))));
    }
    if (width < NARROW) {
      spec.config.legend.columns = 1;
      narrow(spec, width);
    }
    return spec;
  };

  const narrow = (part, width) => {
    const hasRows = Boolean(part.height && part.height.step);
    if (typeof part.width === "number") part.width = Math.min(part.width, Math.max(width - (hasRows ? 210 : 85), 120));
    const { x, y } = part.encoding || {};
    for (const channel of Object.values(part.encoding || {})) if (channel.legend) channel.legend.columns = 1;
    if (x && x.axis && x.axis.tickCount) x.axis.tickCount = 3;
    if (y && y.axis && y.axis.labelLimit && !(y.sort && !y.sort.some((label) => BREAK.test(label)))) {
      y.axis.labelExpr = `split(datum.label, regexp('${BREAK.source}'))`;
      y.axis.labelOffset = -7; // lines hang from the middle of the row
    }
    if (hasRows && part.height.for !== "offset") part.height.step = 38;
    for (const child of [...(part.concat || []), ...(part.vconcat || []), ...(part.layer || [])]) narrow(child, width);
  };

  // The interpreter (`ast`) evaluates expressions without `eval`, which the page's policy forbids.
  const options = {
    ast: true,
    renderer: "svg",
    actions: { export: true, source: false, compiled: false, editor: false },
  };

  // Ink, lines and paper of the drawings, and what stands for them in the dark; colours of data stay.
  const DARK = {
    white: "#15181d", "#1f2937": "#e6e8eb", "#000000": "#e6e8eb", "#6b7280": "#a3abb6", "#e5e7eb": "#343b45",
    "#9ca3af": "#7d8694", "#0072b2": "#4aa3df", "#d55e00": "#f0813a", "#009e73": "#2fc39b",
  };
  // Where a scale or a filter names values of the data, a colour among them is a name and stays.
  const NAMES = new Set(["data", "datasets", "domain", "sort", "field", "test"]);
  const dark = (value) => {
    if (typeof value === "string") return DARK[value.toLowerCase()] ?? value;
    if (Array.isArray(value)) return value.map(dark);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, NAMES.has(key) ? inner : dark(inner)]));
    }
    return value;
  };

  const draw = async (place) => {
    const source = document.querySelector(`script[data-spec="${place.dataset.figure}"]`);
    const picture = place.querySelector("img");
    const target = document.createElement("div");
    place.append(target);
    try {
      const specification = JSON.parse(source.textContent);
      specification.description = picture.alt;
      const { theme } = document.documentElement.dataset;
      const themed = theme === "dark" ? dark(specification) : specification;
      await window.vegaEmbed(target, fitted(themed, place.clientWidth - 14), { ...options, tooltip: { theme } });
      place.querySelectorAll(".chart").forEach((before) => before.remove());
      target.classList.add("chart");
      place.classList.add("drawn");
    } catch (error) {
      target.remove();
      console.error(error);
    }
  };

  const drawAll = () => document.querySelectorAll(".drawing").forEach(draw);
  drawAll();
  document.addEventListener("themechange", drawAll);
  let width = window.innerWidth;
  let resizing;
  window.addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      if (window.innerWidth === width) return; // a phone's bars come and go
      width = window.innerWidth;
      drawAll();
    }, 200);
  });
})();
