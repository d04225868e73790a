// Saves the drawing by itself, one request at a time, and tells its state in words. When somebody else has saved, it
// stops and leaves the drawing alone.

const PAUSE_MS = 700;
const RETRY_MS = 5000;

export class Saving {
  constructor(root, modeler, { revision, words, onSaved, onStale }) {
    Object.assign(this, { root, modeler, revision, words, onSaved, onStale });
    this.status = document.querySelector("[data-modell-lagret]");
    this.changes = 0;
    this.savedChanges = 0;
    this.stopped = false;
  }

  get dirty() {
    return this.savedChanges < this.changes;
  }

  /** Something was drawn: save it in a moment. */
  changed() {
    this.changes += 1;
    if (this.stopped) return;
    this.say(this.words.unsaved);
    this.later(PAUSE_MS);
  }

  later(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), milliseconds);
  }

  /** Save what is drawn now; resolves when it is saved or can't be. */
  save() {
    clearTimeout(this.timer);
    this.running = (this.running || Promise.resolve()).then(() => this.once());
    return this.running;
  }

  async once() {
    if (!this.dirty || this.stopped) return;
    const changes = this.changes;
    this.say(this.words.saving);
    const { xml } = await this.modeler.saveXML({ format: true });
    const { status, answer } = await send(this.root, this.root.dataset.save, { xml, revision: this.revision });
    if (status === 200) {
      this.revision = answer.revision;
      this.savedChanges = changes;
      this.say(this.dirty ? this.words.unsaved : answer.saved);
      this.onSaved(xml);
    } else if (status === 409 || status === 404) {
      this.stopped = true;
      this.say(this.words.unsaved);
      this.onStale(answer.message);
    } else {
      this.say(status === 401 ? this.words.out : answer?.message || this.words.failed);
      this.later(RETRY_MS);
    }
  }

  /** Keep the drawing as a draft of its own, and go there. */
  async copy() {
    const { xml } = await this.modeler.saveXML({ format: true });
    const { status, answer } = await send(this.root, this.root.dataset.copy, { xml });
    if (status !== 200) return this.say(answer?.message || this.words.failed);
    this.savedChanges = this.changes;
    window.location.assign(answer.address);
  }

  say(text) {
    this.status.textContent = text;
  }
}

/** Sends JSON; status 0 when nobody answers, 401 when the answer is the page where one signs in. */
export async function send(root, address, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": root.dataset.csrf };
  try {
    const response = await fetch(address, { method: "POST", headers, body: JSON.stringify(body) });
    if (response.redirected) return { status: 401, answer: null };
    const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
    return { status: response.status, answer: isJson ? await response.json() : null };
  } catch (error) {
    console.error(error);
    return { status: 0, answer: null };
  }
}
