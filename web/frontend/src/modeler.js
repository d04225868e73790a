// The modeller's page: bpmn-js with a panel of our own, saving by itself and checked while drawing.
import Modeler from "bpmn-js/lib/Modeler";
import AlignElementsModule from "bpmn-js/lib/features/align-elements";
import DistributeElementsModule from "bpmn-js/lib/features/distribute-elements";
import ElementFactory from "bpmn-js/lib/features/modeling/ElementFactory";
import camunda from "camunda-bpmn-moddle/resources/camunda.json";
import { draw } from "./diagram.js";
import { Checking } from "./modeler-checking.js";
import { Panel } from "./modeler-panel.js";
import { Saving } from "./modeler-saving.js";
import { translate } from "./modeler-words.js";

const PALETTE = 130;
const MARGIN = 20;

/** A task without a type runs nowhere: what people draw is what somebody does. */
class OwnElementFactory extends ElementFactory {
  create(elementType, attributes) {
    const untyped = attributes?.type === "bpmn:Task" && !attributes.businessObject;
    return super.create(elementType, untyped ? { ...attributes, type: "bpmn:UserTask" } : attributes);
  }
}

class OwnModeler extends Modeler {
  getModules(options) {
    // Their menus hold inline styles, which the page's policy refuses.
    const refused = [AlignElementsModule, DistributeElementsModule];
    return super.getModules(options).filter((module) => !refused.includes(module));
  }
}

const root = document.querySelector("[data-af-modell]");
const holder = root?.querySelector("[data-modell-tegning]");
if (root && window.matchMedia("(min-width: 64rem)").matches) open();
else if (root) draw(holder).catch((error) => console.error(error));

async function open() {
  const words = JSON.parse(root.dataset.words);
  const own = { __init__: [], elementFactory: ["type", OwnElementFactory] };
  const additionalModules = [own, ...(document.documentElement.lang === "nb" ? [{ translate: ["value", translate] }] : [])];
  const modeler = new OwnModeler({ container: holder, moddleExtensions: { camunda }, additionalModules });
  const panel = new Panel(root, modeler, words);
  const checking = new Checking(root, modeler, words, (element) => panel.select(element));
  const response = await fetch(root.dataset.content, { headers: { Accept: "application/json" } });
  const { xml, revision, findings } = await response.json();
  const stale = root.querySelector("[data-modell-stale]");
  const saving = new Saving(root, modeler, {
    revision, words, onSaved: (saved) => checking.check(saved),
    onStale: (message) => {
      stale.querySelector("p").textContent = message;
      stale.hidden = false;
    },
  });
  try {
    await modeler.importXML(xml);
  } catch (error) {
    root.querySelector("[data-modell-sjekk]").textContent = words.open;
    console.error(error);
    return;
  }
  fit(modeler);
  panel.start();
  checking.show(findings);
  modeler.get("eventBus").on("commandStack.changed", () => saving.changed());
  connectButtons(modeler, panel, saving);
  leaveSaved(saving);
  root.dataset.ready = "true";
}

/** The whole model, beside the palette and not under it. */
function fit(modeler) {
  const canvas = modeler.get("canvas");
  const { inner, outer } = canvas.viewbox();
  const scale = Math.min(1, (outer.width - PALETTE - MARGIN) / inner.width, (outer.height - 2 * MARGIN) / inner.height);
  const [width, height] = [outer.width / scale, outer.height / scale];
  canvas.viewbox({ x: inner.x - PALETTE / scale, y: inner.y - (height - inner.height) / 2, width, height });
}

function connectButtons(modeler, panel, saving) {
  const acts = {
    undo: () => modeler.get("commandStack").undo(),
    redo: () => modeler.get("commandStack").redo(),
    in: () => modeler.get("zoomScroll").stepZoom(1),
    out: () => modeler.get("zoomScroll").stepZoom(-1),
    fit: () => fit(modeler),
    connect: () => panel.connect(),
    lane: () => panel.addLane(),
    remove: () => panel.remove(),
    copy: () => saving.copy(),
  };
  root.addEventListener("click", (event) => {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (!act) return;
    const [verb, ...types] = act.split(/:(?=bpmn:)/);
    if (verb === "append") panel.append(...types);
    else if (verb === "insert") panel.insert(...types);
    else acts[act]();
  });
}

/** Links lead on when the drawing is saved; the browser asks before it throws away what is not. */
function leaveSaved(saving) {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[href]");
    if (!link || link.target || !saving.dirty || saving.stopped || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    await saving.save();
    if (!saving.dirty) window.location.assign(link.href);
  });
  window.addEventListener("beforeunload", (event) => {
    if (saving.dirty) event.preventDefault();
  });
}
