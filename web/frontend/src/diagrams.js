// Fetches the diagram viewer the first time a reader opens a diagram.

/** Makes every `<details data-af-diagram>` inside `root` draw its process when it is opened. */
export function loadDiagrams(root) {
  const open = async (event) => {
    const details = event.target;
    if (!details.matches?.("details[data-af-diagram]") || !details.open || details.dataset.loaded) return;
    details.dataset.loaded = "true";
    const holder = details.querySelector("[data-bpmn-url]");
    const status = details.querySelector("[role=status]");
    status.textContent = details.dataset.loading;
    try {
      const [viewer] = await Promise.all([import(details.dataset.script), loadStyle(details.dataset.style)]);
      await viewer.draw(holder);
      status.textContent = "";
    } catch (error) {
      delete details.dataset.loaded;
      status.textContent = details.dataset.failed;
      console.error(error);
    }
  };
  // `toggle` does not bubble: listen on the way down.
  root.addEventListener("toggle", open, true);
  for (const details of root.querySelectorAll("details[data-af-diagram][open]")) open({ target: details });
}

function loadStyle(address) {
  if (document.querySelector(`link[href="${address}"]`)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = address;
    link.onload = resolve;
    link.onerror = reject;
    document.head.append(link);
  });
}
