import NavigatedViewer from "bpmn-js/lib/NavigatedViewer";

/** Below this zoom the words in the boxes are too small to read. */
const READABLE = 0.6;
const MARKERS = { active: "af-aktiv", done: "af-gjort" };

/**
 * Draws the model at `data-bpmn-url` inside `holder`; `data-active` and `data-done` are comma-separated element ids.
 * Ids that the model lacks are passed over: a pinned version may differ from what the page knows. Answers the viewer.
 */
export async function draw(holder) {
  const response = await fetch(holder.dataset.bpmnUrl, { headers: { Accept: "application/xml" } });
  if (!response.ok) throw new Error(`${response.status} for ${holder.dataset.bpmnUrl}`);
  // The wheel belongs to the page; the reader zooms with the buttons.
  const viewer = new NavigatedViewer({ container: holder, zoomScroll: { enabled: false } });
  await viewer.importXML(await response.text());
  const canvas = viewer.get("canvas");
  const elements = viewer.get("elementRegistry");
  for (const [name, marker] of Object.entries(MARKERS)) {
    for (const id of ids(holder.dataset[name])) if (elements.get(id)) canvas.addMarker(id, marker);
  }
  connectButtons(holder, viewer);
  show(canvas, ids(holder.dataset.active).map((id) => elements.get(id)).find(Boolean));
  return viewer;
}

/** The whole model where its words can then be read, else the part around `place`, such as where something happens. */
export function show(canvas, place) {
  fit(canvas);
  if (!place || canvas.zoom() >= READABLE) return;
  canvas.zoom(READABLE);
  const box = canvas.viewbox();
  canvas.viewbox({
    ...box,
    x: place.x + place.width / 2 - box.width / 2,
    y: place.y + place.height / 2 - box.height / 2,
  });
}

function ids(text = "") {
  return text.split(",").map((id) => id.trim()).filter(Boolean);
}

function connectButtons(holder, viewer) {
  const buttons = holder.closest("figure")?.querySelector("[data-af-zoom-buttons]");
  if (!buttons) return;
  buttons.hidden = false;
  buttons.addEventListener("click", (event) => {
    const step = event.target.closest("[data-af-zoom]")?.dataset.afZoom;
    if (step === "fit") fit(viewer.get("canvas"));
    else if (step) viewer.get("zoomScroll").stepZoom(Number(step));
  });
}

function fit(canvas) {
  canvas.zoom("fit-viewport", "auto");
}
