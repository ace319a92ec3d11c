// Each picture becomes an interactive chart of the same specification. Where this script does not run, the picture stays.
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

  const draw = async (place) => {
    const source = document.querySelector(`script[data-spec="${place.dataset.figure}"]`);
    const target = document.createElement("div");
    place.append(target);
    try {
      await window.vegaEmbed(target, fitted(JSON.parse(source.textContent), place.clientWidth - 14), options);
      place.querySelector("img").remove();
    } catch (error) {
      target.remove();
      console.error(error);
    }
  };

  document.querySelectorAll(".drawing").forEach(draw);
})();
