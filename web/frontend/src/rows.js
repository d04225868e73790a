// Rows of a repeated part of a form ("Legg til et forslag"). Without script the same buttons post the form,
// and the server answers with one row more or less.

const PLACE = /__rad__/g;

/** Takes over the add and remove buttons inside `root`. */
export function growRows(root) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-af-add], [data-af-remove]");
    const list = button?.closest("[data-af-rows]");
    if (!list) return;
    event.preventDefault();
    if (button.hasAttribute("data-af-add")) addRow(list);
    else removeRow(list, button.closest("[data-af-row]"));
    list.dispatchEvent(new Event("change", { bubbles: true }));
  });
}

function rows(list) {
  return [...list.querySelectorAll(":scope > [data-af-body] > [data-af-row]")];
}

function addRow(list) {
  const template = list.querySelector(":scope > template");
  // The number is never reused, so that a removed row's fields cannot be mistaken for a new row's.
  const number = Number(list.dataset.next);
  list.dataset.next = String(number + 1);
  const holder = document.createElement("template");
  holder.innerHTML = template.innerHTML.replace(PLACE, String(number));
  const row = holder.content.firstElementChild;
  list.querySelector(":scope > [data-af-body]").append(row);
  tidy(list);
  row.querySelector("input, select, textarea")?.focus();
}

function removeRow(list, row) {
  const left = row.previousElementSibling ?? row.nextElementSibling;
  row.remove();
  tidy(list);
  const next = left?.querySelector("input, select, textarea") ?? list.querySelector("[data-af-add]");
  next?.focus();
}

/** Numbers the rows from one, and hides the add button when the list is full. */
function tidy(list) {
  const all = rows(list);
  all.forEach((row, index) => {
    const label = `${list.dataset.rowName} ${index + 1}`;
    row.querySelector("[data-af-heading]").textContent = label;
    const remove = row.querySelector("[data-af-remove]");
    remove?.setAttribute("aria-label", `${remove.textContent.trim()}: ${label}`);
  });
  const add = list.querySelector("[data-af-add]");
  if (add) add.hidden = all.length >= Number(list.dataset.max);
}
