// The properties panel: each field's `data-bind` names a property of the chosen element, read and written here. Every
// change goes through the command stack, so that it can be undone.
import { getBusinessObject, is, isAny } from "bpmn-js/lib/util/ModelUtil";

const TIMERS = ["timeDate", "timeDuration", "timeCycle"];
const REFERENCES = {
  "bpmn:MessageEventDefinition": ["messageRef", "bpmn:Message"],
  "bpmn:SignalEventDefinition": ["signalRef", "bpmn:Signal"],
  "bpmn:ErrorEventDefinition": ["errorRef", "bpmn:Error"],
  "bpmn:EscalationEventDefinition": ["escalationRef", "bpmn:Escalation"],
};

/** `get(bind)`, `set(bind, value)` and `applies(condition)` for the chosen element. */
export class Fields {
  constructor(modeler) {
    for (const name of ["modeling", "moddle", "elementRegistry", "canvas"]) this[name] = modeler.get(name);
    this.definitions = () => modeler.getDefinitions();
    this.element = null;
  }

  get object() {
    return getBusinessObject(this.element);
  }

  // --- which fields an element has ---

  applies(condition) {
    const own = CONDITIONS[condition];
    return own ? Boolean(own(this)) : is(this.element, condition);
  }

  // --- reading and writing ---

  get(bind) {
    const [kind, name] = parts(bind);
    const special = SPECIAL[kind];
    return special ? special.get(this, name) : this.object.get(bind.split("@")[0]) ?? "";
  }

  set(bind, value) {
    const [kind, name] = parts(bind);
    const special = SPECIAL[kind];
    if (special) special.set(this, name, value);
    else this.modeling.updateProperties(this.element, { [bind.split("@")[0]]: value || undefined });
  }

  update(moddleElement, properties) {
    this.modeling.updateModdleProperties(this.element, moddleElement, properties);
  }

  create(type, properties, parent) {
    const made = this.moddle.create(type, properties);
    if (parent) made.$parent = parent;
    return made;
  }

  expression(body, parent) {
    return body ? this.create("bpmn:FormalExpression", { body }, parent) : undefined;
  }

  // --- parts of the model ---

  get eventDefinition() {
    return this.object.get?.("eventDefinitions")?.[0];
  }

  get process() {
    if (is(this.element, "bpmn:Participant")) return this.object.processRef;
    const root = getBusinessObject(this.canvas.getRootElement());
    if (is(root, "bpmn:Process")) return root;
    return root.participants?.map((p) => p.processRef).find((p) => p?.isExecutable);
  }

  lanes() {
    return this.elementRegistry.filter((e) => is(e, "bpmn:Lane") && !e.labelTarget && !e.children.some((c) => is(c, "bpmn:Lane")));
  }

  extensions(type) {
    return (this.object.extensionElements?.values || []).filter((value) => is(value, type));
  }

  /** Put other values of these types in the element's extensions; those of other types stay. */
  replaceExtensions(type, made) {
    const held = this.object.extensionElements;
    const kept = (held?.values || []).filter((value) => !is(value, type));
    const values = [...kept, ...made];
    const extension = held || this.create("bpmn:ExtensionElements", { values: [] }, this.object);
    for (const value of made) value.$parent = extension;
    if (held) this.update(held, { values });
    else this.modeling.updateProperties(this.element, { extensionElements: Object.assign(extension, { values }) });
  }
}

function parts(bind) {
  const [kind, ...rest] = bind.split("@")[0].split(":");
  return [kind, rest.join(":")];
}

const CONDITIONS = {
  named: (f) => isAny(f.element, ["bpmn:FlowElement", "bpmn:Lane", "bpmn:MessageFlow"]),
  several: (f) => is(f.object.get?.("loopCharacteristics"), "bpmn:MultiInstanceLoopCharacteristics"),
  loop: (f) => is(f.object.get?.("loopCharacteristics"), "bpmn:StandardLoopCharacteristics"),
  "choosing-flow": (f) => is(f.element, "bpmn:SequenceFlow") && (f.object.sourceRef?.outgoing?.length > 1 || f.object.conditionExpression),
  timer: (f) => is(f.eventDefinition, "bpmn:TimerEventDefinition"),
  "event-reference": (f) => f.eventDefinition && REFERENCES[f.eventDefinition.$type],
  "event-condition": (f) => is(f.eventDefinition, "bpmn:ConditionalEventDefinition"),
  process: (f) => isAny(f.element, ["bpmn:Participant", "bpmn:Process", "bpmn:Collaboration"]) && f.process,
  people: (f) => isAny(f.element, ["bpmn:UserTask", "bpmn:ManualTask"]),
  "task-message": (f) => isAny(f.element, ["bpmn:SendTask", "bpmn:ReceiveTask"]),
  messaging: (f) => isAny(f.element, ["bpmn:SendTask", "bpmn:ReceiveTask"]) || is(f.eventDefinition, "bpmn:MessageEventDefinition"),
  link: (f) => is(f.eventDefinition, "bpmn:LinkEventDefinition"),
  "other-documentation": (f) => is(f.element, "bpmn:FlowNode") && !isAny(f.element, ["bpmn:UserTask", "bpmn:ManualTask"]),
  identified: (f) => isAny(f.element, ["bpmn:FlowNode", "bpmn:Lane", "bpmn:SequenceFlow"]),
  continuing: (f) => is(f.element, "bpmn:FlowNode") && !is(f.element, "bpmn:EndEvent"),
  removable: (f) => f.element.parent,
  buildable: (f) => isAny(f.element, ["bpmn:FlowNode", "bpmn:SequenceFlow", "bpmn:Lane"]),
};

const SPECIAL = {
  role: {
    get: (f) => f.lanes().find((lane) => getBusinessObject(lane).flowNodeRef?.includes(f.object))?.id || "",
    set: (f, _name, id) => moveToLane(f, id),
  },
  documentation: {
    get: (f) => f.object.documentation?.[0]?.text || "",
    set: (f, _name, text) => f.modeling.updateProperties(f.element, { documentation: documented(f, text, f.object) }),
  },
  property: {
    get: (f, name) => property(f, name)?.value || "",
    set: setProperty,
  },
  condition: {
    get: (f) => f.object.conditionExpression?.body || "",
    set: (f, _name, text) => f.modeling.updateProperties(f.element, { conditionExpression: f.expression(text, f.object) }),
  },
  default: {
    get: (f) => f.object.sourceRef?.default === f.object,
    set: setDefault,
  },
  timer: {
    get: (f, name) => {
      const kind = TIMERS.find((known) => f.eventDefinition[known]);
      return name === "kind" ? kind || "timeDate" : f.eventDefinition[kind]?.body || "";
    },
    set: setTimer,
  },
  interrupting: {
    get: (f) => f.object.cancelActivity !== false,
    set: (f, _name, value) => f.modeling.updateProperties(f.element, { cancelActivity: value }),
  },
  marker: { get: getMarker, set: setMarker },
  reference: {
    get: (f) => f.eventDefinition[REFERENCES[f.eventDefinition.$type][0]]?.name || "",
    set: (f, _name, name) => setReference(f, f.eventDefinition, REFERENCES[f.eventDefinition.$type], name),
  },
  message: {
    get: (f) => f.object.messageRef?.name || "",
    set: (f, _name, name) => setReference(f, f.object, REFERENCES["bpmn:MessageEventDefinition"], name),
  },
  link: {
    get: (f) => f.eventDefinition.name || "",
    set: (f, _name, name) => f.update(f.eventDefinition, { name: name || undefined }),
  },
  service: {
    get: (f) => f.object.get("camunda:topic") || "",
    set: (f, _name, topic) => {
      const type = topic ? "external" : undefined;
      f.modeling.updateProperties(f.element, { "camunda:topic": topic || undefined, "camunda:type": type });
    },
  },
  event: {
    get: (f) => f.eventDefinition.condition?.body || "",
    set: (f, _name, text) => f.update(f.eventDefinition, { condition: f.expression(text, f.eventDefinition) }),
  },
  bindings: {
    get: (f) => f.extensions("camunda:In").map((b) => `${b.target || ""} = ${b.sourceExpression || b.source || ""}`).join("\n"),
    set: (f, _name, text) => f.replaceExtensions("camunda:In", text.split("\n").filter((line) => line.trim()).map((line) => binding(f, line))),
  },
  process: {
    get: (f, name) => (name === "documentation" ? f.process.documentation?.[0]?.text : f.process.get(name)) || "",
    set: setProcess,
  },
};

function documented(f, text, parent) {
  return text ? [f.create("bpmn:Documentation", { text }, parent)] : [];
}

function binding(f, line) {
  const [target, ...rest] = line.split("=");
  return f.create("camunda:In", { target: target.trim(), sourceExpression: rest.join("=").trim() });
}

// --- the lane ---

function moveToLane(f, id) {
  const lane = f.elementRegistry.get(id);
  if (!lane) return;
  const middle = lane.y + lane.height / 2 - f.element.height / 2;
  const delta = { x: 0, y: Math.round(middle - f.element.y) };
  while (delta.x < 1600 && occupied(f, delta)) delta.x += 40;
  f.modeling.moveElements([f.element], delta, f.element.parent);
}

function occupied(f, delta) {
  const [left, top] = [f.element.x + delta.x, f.element.y + delta.y];
  return f.elementRegistry.find((other) => {
    if (other === f.element || !is(other, "bpmn:FlowNode") || other.labelTarget || other.host) return false;
    return left < other.x + other.width + 20 && other.x < left + f.element.width + 20 && top < other.y + other.height && other.y < top + f.element.height;
  });
}

// --- extension properties ---

function property(f, name) {
  return f.extensions("camunda:Properties").flatMap((held) => held.values || []).find((held) => held.name === name);
}

function setProperty(f, name, value) {
  const held = f.extensions("camunda:Properties")[0];
  const kept = (held?.values || []).filter((known) => known.name !== name);
  const own = value ? [f.create("camunda:Property", { name, value }, held)] : [];
  if (held) f.update(held, { values: [...kept, ...own] });
  else if (value) f.replaceExtensions("camunda:Properties", [propertiesOf(f, own)]);
}

function propertiesOf(f, values) {
  const made = f.create("camunda:Properties", { values });
  for (const value of values) value.$parent = made;
  return made;
}

// --- flows and events ---

function setDefault(f, _name, chosen) {
  const source = f.element.source;
  f.modeling.updateProperties(source, { default: chosen ? f.object : undefined });
  if (chosen && f.object.conditionExpression) f.modeling.updateProperties(f.element, { conditionExpression: undefined });
}

function setTimer(f, name, value) {
  const held = TIMERS.find((known) => f.eventDefinition[known]);
  const kind = name === "kind" ? value : held || f.wantedTimer || "timeDate";
  const text = name === "kind" ? f.eventDefinition[held]?.body : value;
  f.wantedTimer = kind;
  const cleared = Object.fromEntries(TIMERS.map((known) => [known, undefined]));
  f.update(f.eventDefinition, { ...cleared, [kind]: f.expression(text, f.eventDefinition) });
}

/** The message, signal, error or escalation of that name, made where there is none. */
function setReference(f, holder, [attribute, type], name) {
  const definitions = f.definitions();
  let root = definitions.rootElements.find((held) => is(held, type) && held.name === name);
  if (!root && name) {
    root = f.create(type, { name, ...(type === "bpmn:Error" ? { errorCode: name } : {}), ...(type === "bpmn:Escalation" ? { escalationCode: name } : {}) }, definitions);
    f.update(definitions, { rootElements: [...definitions.rootElements, root] });
  }
  f.update(holder, { [attribute]: name ? root : undefined });
}

// --- several, or again and again ---

const LOOP_TEXTS = ["completionCondition", "loopCondition"];

function getMarker(f, name) {
  const held = f.object.loopCharacteristics;
  if (!name) return !held ? "" : is(held, "bpmn:StandardLoopCharacteristics") ? "loop" : held.isSequential ? "sequential" : "parallel";
  if (!held) return "";
  return (LOOP_TEXTS.includes(name) ? held[name]?.body : held.get(`camunda:${name}`)) || "";
}

function setMarker(f, name, value) {
  const held = f.object.loopCharacteristics;
  if (!name) return chooseMarker(f, value, held);
  const key = LOOP_TEXTS.includes(name) ? name : `camunda:${name}`;
  f.update(held, { [key]: LOOP_TEXTS.includes(name) ? f.expression(value, held) : value || undefined });
}

function chooseMarker(f, value, held) {
  const several = value === "parallel" || value === "sequential";
  if (several && is(held, "bpmn:MultiInstanceLoopCharacteristics")) {
    f.update(held, { isSequential: value === "sequential" });
    return;
  }
  const type = several ? "bpmn:MultiInstanceLoopCharacteristics" : "bpmn:StandardLoopCharacteristics";
  const made = value ? f.create(type, several ? { isSequential: value === "sequential" } : {}, f.object) : undefined;
  f.modeling.updateProperties(f.element, { loopCharacteristics: made });
}

// --- the process ---

function setProcess(f, name, value) {
  const process = f.process;
  if (name === "documentation") {
    f.update(process, { documentation: documented(f, value, process) });
    return;
  }
  const before = process.get(name);
  f.update(process, { [name]: value || undefined });
  const pool = f.elementRegistry.find((e) => is(e, "bpmn:Participant") && getBusinessObject(e).processRef === process);
  if (name === "name" && pool && getBusinessObject(pool).name === before) f.modeling.updateLabel(pool, value);
}
