// Runs before the first paint, so that a chosen theme does not flash. A classic script: modules come later.
(() => {
  try {
    const chosen = localStorage.getItem("perdure-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is switched off: the page has the system's theme.
  }
})();
