// The panel beside the drawing: chooses an element, shows the fields it has, and builds on from it without a mouse.
import { getBusinessObject, is, isAny } from "bpmn-js/lib/util/ModelUtil";
import { Fields } from "./modeler-fields.js";

const LISTED = ["bpmn:FlowNode", "bpmn:Lane", "bpmn:SequenceFlow", "bpmn:Participant"];

export class Panel {
  constructor(root, modeler, words) {
    Object.assign(this, { root, modeler, words });
    this.fields = new Fields(modeler);
    this.panel = root.querySelector("[data-modell-panel]");
    this.chooser = root.querySelector("[data-modell-valgt]");
    this.connector = root.querySelector("[data-modell-koble]");
    this.chooser.addEventListener("change", () => this.select(this.elements.get(this.chooser.value)));
    this.panel.addEventListener("change", (event) => this.write(event.target));
  }

  /** From now on, show what is chosen; a model must be open. */
  start() {
    const bus = this.modeler.get("eventBus");
    bus.on("selection.changed", () => this.show());
    bus.on("commandStack.changed", () => this.show());
    this.show();
  }

  get elements() {
    return this.modeler.get("elementRegistry");
  }

  select(element) {
    const root = this.modeler.get("canvas").getRootElement();
    this.modeler.get("selection").select(element && element !== root ? element : null);
    if (element && element !== root) this.modeler.get("canvas").scrollToElement(element, 60);
    this.show();
  }

  show() {
    const [chosen] = this.modeler.get("selection").get();
    this.fields.element = chosen?.labelTarget || chosen || this.modeler.get("canvas").getRootElement();
    this.listElements();
    for (const group of this.panel.querySelectorAll("[data-for]")) group.hidden = !this.fields.applies(group.dataset.for);
    this.listRoles();
    for (const field of this.panel.querySelectorAll("[data-bind]")) if (!field.closest("[data-for][hidden]")) this.read(field);
    this.panel.querySelector("[data-modell-idfeil]").hidden = true;
    this.formLink();
  }

  listElements() {
    const root = this.modeler.get("canvas").getRootElement();
    const listed = this.elements.filter((e) => isAny(e, LISTED) && !e.labelTarget).map((e) => [e.id, this.name(e)]);
    options(this.chooser, [[root.id, this.words.process], ...listed], this.fields.element.id);
    const targets = this.elements.filter((e) => is(e, "bpmn:FlowNode") && !e.labelTarget && e !== this.fields.element && !isAny(e, ["bpmn:StartEvent", "bpmn:BoundaryEvent"]));
    options(this.connector, [["", this.words.choose], ...targets.map((e) => [e.id, this.name(e)])], "");
  }

  name(element) {
    const object = getBusinessObject(element);
    if (object.name || !is(element, "bpmn:SequenceFlow")) return object.name || `${element.id} (${this.words.unnamed})`;
    return `${object.sourceRef?.name || object.sourceRef?.id} → ${object.targetRef?.name || object.targetRef?.id}`;
  }

  listRoles() {
    const roles = this.fields.lanes().map((lane) => [lane.id, getBusinessObject(lane).name || lane.id]);
    options(this.panel.querySelector("[data-bind=role]"), [["", this.words.noRole], ...roles], "");
  }

  read(field) {
    const value = this.fields.get(field.dataset.bind);
    if (field.type === "checkbox") field.checked = value;
    else if (document.activeElement !== field || field.tagName === "SELECT") fill(field, String(value), this.words.missing);
  }

  write(field) {
    const bind = field.dataset?.bind;
    if (!bind) return;
    if (bind === "id" && !this.fits(field.value)) {
      this.say(this.words.badId);
      return;
    }
    this.fields.set(bind, field.type === "checkbox" ? field.checked : field.value.trim());
  }

  fits(id) {
    const taken = this.modeler.get("moddle").ids.assigned(id);
    return /^[A-Za-z_][\w-]{0,119}$/.test(id) && (!taken || taken === this.fields.object);
  }

  say(text) {
    const message = this.panel.querySelector("[data-modell-idfeil]");
    message.textContent = text;
    message.hidden = false;
  }

  formLink() {
    const link = this.panel.querySelector("[data-modell-skjema]");
    const key = is(this.fields.element, "bpmn:UserTask") ? this.fields.get("camunda:formKey") : "";
    const field = this.panel.querySelector('[data-bind="camunda:formKey"]');
    link.hidden = !key || field.selectedOptions[0]?.hasAttribute("data-missing");
    link.href = `${this.root.dataset.form}/${encodeURIComponent(key)}`;
  }

  // --- building on, without a mouse ---

  append(type, eventDefinitionType) {
    const shape = this.modeler.get("elementFactory").createShape({ type, ...(eventDefinitionType ? { eventDefinitionType } : {}) });
    this.begin(this.modeler.get("autoPlace").append(this.fields.element, shape));
  }

  insert(type) {
    const flow = this.fields.element;
    const shape = this.modeler.get("elementFactory").createShape({ type });
    this.begin(this.modeler.get("modeling").createShape(shape, middle(flow.waypoints), flow));
  }

  /** What is new gets its name first. */
  begin(made) {
    this.select(made);
    this.panel.scrollTop = 0;
    this.panel.querySelector("[data-bind=name]").focus();
  }

  connect() {
    const target = this.elements.get(this.connector.value);
    if (target) this.modeler.get("modeling").connect(this.fields.element, target, { type: "bpmn:SequenceFlow" });
  }

  addLane() {
    this.begin(this.modeler.get("modeling").addLane(this.fields.element, "bottom"));
  }

  remove() {
    const gone = this.fields.element;
    this.select(null);
    this.modeler.get("modeling").removeElements([gone]);
  }
}

/** The middle of the longest stretch of a flow. */
function middle(points) {
  const stretches = points.slice(1).map((point, index) => [points[index], point]);
  const length = ([a, b]) => Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
  const [a, b] = stretches.reduce((best, next) => (length(next) > length(best) ? next : best));
  return { x: Math.round((a.x + b.x) / 2), y: Math.round((a.y + b.y) / 2) };
}

function options(select, pairs, value) {
  select.replaceChildren(...pairs.map(([key, words]) => new Option(words, key)));
  select.value = value;
}

/** A value that a list of choices lacks is added to it, so that nothing is lost by looking. */
function fill(field, value, missing) {
  if (field.tagName === "SELECT") {
    for (const option of field.querySelectorAll("[data-missing]")) option.remove();
    if (![...field.options].some((option) => option.value === value)) {
      const option = new Option(`${value} (${missing})`, value);
      option.dataset.missing = "";
      field.append(option);
    }
  }
  field.value = value;
}
