// The import gate's findings while drawing: a list where each row selects its element, and a mark at the element.
import { send } from "./modeler-saving.js";

export class Checking {
  constructor(root, modeler, words, select) {
    Object.assign(this, { root, modeler, words, select });
    this.list = root.querySelector("[data-modell-funn]");
    this.status = root.querySelector("[data-modell-sjekk]");
    this.latest = 0;
  }

  /** Ask about this drawing; an answer that a later question has overtaken is dropped. */
  async check(xml) {
    this.latest += 1;
    const asked = this.latest;
    this.status.textContent = this.words.checking;
    const { status, answer } = await send(this.root, this.root.dataset.check, { xml });
    if (asked !== this.latest) return;
    if (status === 200) this.show(answer.findings);
    else this.status.textContent = answer?.message || "";
  }

  show(findings) {
    this.list.replaceChildren(...findings.map((finding) => this.row(finding)));
    this.status.textContent = summary(findings, this.words);
    const overlays = this.modeler.get("overlays");
    overlays.remove({ type: "finding" });
    const elements = this.modeler.get("elementRegistry");
    for (const [id, severity] of worst(findings)) {
      const element = elements.get(id);
      if (element?.parent && !element.waypoints) overlays.add(id, "finding", { position: { top: -10, right: 12 }, html: mark(severity) });
    }
  }

  row(finding) {
    const row = document.createElement("li");
    row.className = `af-funn af-funn--${finding.severity}`;
    const body = document.createElement("div");
    const known = this.modeler.get("elementRegistry").get(finding.element);
    const line = document.createElement(known ? "button" : "p");
    if (known) {
      line.type = "button";
      line.className = "af-funn__knapp";
      line.addEventListener("click", () => this.select(known));
    }
    const kind = document.createElement("strong");
    kind.textContent = finding.severity === "error" ? this.words.errorMark : this.words.adviceMark;
    line.append(kind, ` ${finding.name ? `«${finding.name}»: ` : ""}${finding.text} ${finding.remedy}`);
    body.append(line);
    row.append(mark(finding.severity), body);
    return row;
  }
}

function worst(findings) {
  const found = new Map();
  for (const { element, severity } of findings) if (element && found.get(element) !== "error") found.set(element, severity);
  return found;
}

function mark(severity) {
  const element = document.createElement("span");
  element.className = `af-funn__merke af-funn__merke--${severity}`;
  element.setAttribute("aria-hidden", "true");
  element.textContent = severity === "error" ? "!" : "?";
  return element;
}

function summary(findings, words) {
  const errors = findings.filter((finding) => finding.severity === "error").length;
  const advice = findings.length - errors;
  const parts = [errors && `${errors} ${errors === 1 ? words.error : words.errors}`, advice && `${advice} ${words.advice}`];
  return parts.filter(Boolean).join(", ") || words.clean;
}
