// Two versions of a model side by side: what was added, removed and changed is marked by outline, sign and colour.
import { draw, show } from "./diagram.js";

const SIGNS = { added: "+", removed: "−", changed: "~" };

const holder = document.querySelector("[data-af-sammenlign]");
if (holder) open(holder);

async function open(holder) {
  const sides = [...holder.querySelectorAll("[data-side]")];
  try {
    const viewers = await Promise.all(sides.map((side) => draw(side)));
    for (const viewer of viewers) mark(viewer, holder.dataset);
    begin(viewers, holder.dataset);
    connectList(viewers);
  } catch (error) {
    holder.querySelector("[role=status]").textContent = holder.dataset.failed;
    console.error(error);
  }
}

function mark(viewer, given) {
  const [canvas, elements, overlays] = ["canvas", "elementRegistry", "overlays"].map((name) => viewer.get(name));
  for (const [kind, sign] of Object.entries(SIGNS)) {
    for (const id of (given[kind] || "").split(",").filter((id) => elements.get(id))) {
      canvas.addMarker(id, `af-${kind}`);
      if (!elements.get(id).waypoints) overlays.add(id, { position: { top: -12, left: -12 }, html: badge(kind, sign) });
    }
  }
}

/** Both at the first difference, where the whole model would be too small to read. */
function begin(viewers, given) {
  const ids = Object.keys(SIGNS).flatMap((kind) => (given[kind] || "").split(","));
  const found = ids.flatMap((id) => viewers.map((viewer) => viewer.get("elementRegistry").get(id))).find(isStep);
  for (const viewer of viewers) show(viewer.get("canvas"), viewer.get("elementRegistry").get(found?.id) || found);
}

/** Is it drawn in one place, rather than a flow or a pool around everything? */
function isStep(element) {
  return element?.parent && !element.waypoints && !["bpmn:Participant", "bpmn:Lane"].includes(element.type);
}

function badge(kind, sign) {
  const element = document.createElement("span");
  element.className = `af-forskjell__tegn af-forskjell--${kind}`;
  element.textContent = sign;
  return element;
}

/** A press on a line shows its element, in every diagram that has it. */
function connectList(viewers) {
  for (const button of document.querySelectorAll("[data-af-vis]")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll("[data-af-vis][aria-pressed]")) other.removeAttribute("aria-pressed");
      button.setAttribute("aria-pressed", "true");
      for (const viewer of viewers) centre(viewer, button.dataset.afVis);
      document.querySelector("[data-af-sammenlign]").scrollIntoView({ block: "nearest" });
    });
  }
}

function centre(viewer, id) {
  const element = viewer.get("elementRegistry").get(id);
  const canvas = viewer.get("canvas");
  for (const old of viewer.get("elementRegistry").filter((e) => canvas.hasMarker(e, "af-vist"))) canvas.removeMarker(old, "af-vist");
  if (!element || element === canvas.getRootElement()) return;
  canvas.addMarker(element, "af-vist");
  if (canvas.zoom() < 0.7) canvas.zoom(0.7);
  canvas.scrollToElement(element, 80);
}
