// Light, dark, or as the system has it. Runs before anything is drawn; tells charts by the event `themechange`.
(() => {
  const ROOT = document.documentElement;
  const NAMES = ["auto", "light", "dark"];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // A page of a file may have no storage: then the choice lasts as long as the page.
  const stored = () => { try { return localStorage.getItem("thinkscale-theme"); } catch { return null; } };
  const store = (name) => { try { localStorage.setItem("thinkscale-theme", name); } catch { /* as above */ } };
  let chosen = NAMES.includes(stored()) ? stored() : "auto";

  const apply = () => {
    ROOT.dataset.theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
    document.dispatchEvent(new Event("themechange"));
  };
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = `Colours: ${chosen}`; };
    button.hidden = false;
    name();
    button.addEventListener("click", () => {
      chosen = NAMES[(NAMES.indexOf(chosen) + 1) % NAMES.length];
      store(chosen);
      name();
      apply();
    });
  });
})();
