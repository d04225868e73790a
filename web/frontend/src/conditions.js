// Hides fields that don't apply to what is answered so far. The server translates each condition to a small JSON
// rule and decides again when the form is sent; without script every field is shown.

/** Evaluates a rule such as ["==", ["name", "utfall"], ["value", "juster"]]; `read` gives a name's answer or null. */
export function evaluate(rule, read) {
  const [kind, ...parts] = rule;
  if (kind === "value") return parts[0];
  if (kind === "name") return read(parts[0]);
  if (kind === "and") return parts.every((part) => truthy(evaluate(part, read)));
  if (kind === "or") return parts.some((part) => truthy(evaluate(part, read)));
  if (kind === "not") return !truthy(evaluate(parts[0], read));
  const [left, right] = parts.map((part) => evaluate(part, read));
  return compare(kind, left, right);
}

function compare(kind, left, right) {
  if (kind === "==") return same(left, right);
  if (kind === "!=") return !same(left, right);
  const found = Array.isArray(right) ? right.some((item) => same(item, left)) : String(right ?? "").includes(left ?? "");
  return kind === "in" ? found : !found;
}

// A form holds texts where an answer holds numbers: "3" and 3 are the same answer.
function same(left, right) {
  if (left === null || right === null || typeof left === "boolean" || typeof right === "boolean") return left === right;
  return String(left) === String(right);
}

function truthy(value) {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** Shows and hides all conditional parts inside `root`, now and at each change. */
export function showConditions(root) {
  const update = () => {
    for (const part of root.querySelectorAll("[data-af-hide]")) {
      const form = part.closest("form");
      if (form) part.hidden = truthy(evaluate(JSON.parse(part.dataset.afHide), reader(form, part)));
    }
  };
  update();
  root.addEventListener("change", update);
  root.addEventListener("htmx:after:swap", update);
}

/** Reads a name's answer: first in the row that `part` belongs to, then in the whole form. */
function reader(form, part) {
  const prefix = part.closest("[data-af-row]")?.dataset.afRow;
  return (name) => {
    const inRow = prefix ? form.elements.namedItem(`${prefix}-${name}`) : null;
    return answer(inRow ?? form.elements.namedItem(name));
  };
}

function answer(field) {
  if (!field) return null;
  const all = field instanceof RadioNodeList ? [...field] : [field];
  const last = all.at(-1);
  if (last.type === "radio") return all.find((item) => item.checked)?.value ?? null;
  if (last.type === "checkbox" && last.dataset.afSingle === undefined) {
    return all.filter((item) => item.checked).map((item) => item.value);
  }
  if (last.type === "checkbox") return last.checked;
  return last.value === "" ? null : last.value;
}
