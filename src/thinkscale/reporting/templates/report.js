// Each picture becomes an interactive chart of the same specification. Where this script does not run, the picture stays.
(() => {
  // Panels side by side become panels below each other where the page is narrow.
  const fitted = (spec, width) => {
    const copy = JSON.parse(JSON.stringify(spec));
    if (copy.concat) {
      const widest = Math.max(...copy.concat.map((panel) => panel.width || 300));
      copy.columns = Math.max(1, Math.min(copy.columns || 3, Math.floor((width + 40) / (widest + 75))));
    }
    const narrow = (part) => {
      if (typeof part.width === "number") part.width = Math.min(part.width, Math.max(width - (part.height && part.height.step ? 190 : 90), 140));
      for (const key of ["axis"]) {
        const y = part.encoding && part.encoding.y;
        if (y && y[key] && y[key].labelLimit && width < 640) y[key].labelLimit = 130;
      }
      for (const child of [...(part.concat || []), ...(part.vconcat || []), ...(part.layer || [])]) narrow(child);
    };
    narrow(copy);
    return copy;
  };
  // The interpreter evaluates expressions without `eval`, which the page's policy forbids.
  const options = {
    ast: true, renderer: "svg",
    actions: { export: true, source: false, compiled: false, editor: false },
  };
  const draw = async (place) => {
    const source = document.querySelector(`script[data-spec="${place.dataset.figure}"]`);
    const picture = place.querySelector("img");
    const target = document.createElement("div");
    place.append(target);
    try {
      await window.vegaEmbed(target, fitted(JSON.parse(source.textContent), place.clientWidth - 14), options);
      picture.remove();
    } catch (error) {
      target.remove();
      console.error(error);
    }
  };
  document.querySelectorAll(".drawing").forEach(draw);
})();
