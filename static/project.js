// The open project: its members and their presence, its status, and its stages.

import { $, announce, briefly, cloneTemplate, glow, showText } from "./dom.js";
import { Room, showPeople } from "./room.js";
import { oneAtATime } from "./scope.js";

/** The statuses that this page offers; the server accepts any short text. */
const STATUSES = ["active", "on hold", "done"];

export class Project {
  #scope;
  #channel;
  #members = new Map();
  #stages = new Map();
  #rows = new Map();

  constructor(scope, channel, known) {
    this.#scope = scope.branch();
    this.#channel = channel;
    this.id = known.id;
    const onChange = () => this.#showPeople();
    this.room = new Room(this.#scope, channel, "project", this.id, onChange);
    $("stages").replaceChildren();
    $("stage-form").reset();
    for (const id of ["project-error", "stage-error"]) showText($(id), null);
    this.#showDetails(known);
    this.#showPeople();
    this.#scope.listen($("project-status"), "change", ({ target }) =>
      this.#attempt(() => this.#setStatus(target.value)),
    );
    this.#scope.listen($("stage-form"), "submit", async (event) => {
      event.preventDefault();
      await this.#scope.submit($("stage-form"), $("stage-error"), () => this.#addStage());
      $("stage-name").focus();
    });
    const startChat = () => this.#attempt(() => this.#startChat());
    this.#scope.listen($("start-chat"), "click", startChat);
    if (channel.isLive) this.ready();
    else this.refresh();
  }

  /** Joins the room before reading, so that no change falls between the two. */
  async ready() {
    await this.#attempt(() => this.room.join());
    if (!this.#scope.isOver) await this.refresh();
  }

  refresh = oneAtATime(() =>
    this.#attempt(async () => {
      const [{ data }] = await Promise.all([
        this.#scope.call("GET", `/projects/${this.id}`),
        this.#channel.isPolling && !this.#channel.isLive && this.room.look(),
      ]);
      this.#members = new Map(data.members.map((member) => [member.userId, member]));
      this.#showDetails(data);
      this.#showPeople();
      for (const stage of data.stages) this.putStage(stage, { fresh: false });
    }),
  );

  #attempt(work) {
    return this.#scope.attempt($("project-error"), work);
  }

  update({ type, data }) {
    if (type === "status_change" || type === "details_change") this.#showDetails(data);
    if (type === "stage_added") this.putStage(data.stage);
    if (type === "member_added") this.#members.set(data.userId, data);
    if (type === "member_removed") this.#members.delete(data.userId);
    this.#showPeople();
    if (type === "status_change") announce(`The project is now ${data.status}`);
  }

  /** Shows those of name, description and status that the argument has. */
  #showDetails({ id, name, description, status }) {
    const isWhole = id !== undefined;
    if (name !== undefined || isWhole) $("project-name").textContent = name ?? `Project ${id}`;
    if (description !== undefined || isWhole) showText($("project-description"), description);
    if (status !== undefined) {
      const values = [...new Set([...STATUSES, status])];
      const options = values.map((value) => new Option(value, value, false, value === status));
      $("project-status").replaceChildren(...options);
      $("project-status").dataset.status = status;
    }
    $("project-status").disabled = $("project-status").options.length === 0;
  }

  #showPeople() {
    const me = this.#scope.user.id;
    showPeople("project-people", this.#members.values(), this.room, me);
  }

  /** Takes a stage from an answer or an event. A completed stage stays completed. */
  putStage(stage, { fresh = true } = {}) {
    const known = this.#stages.get(stage.id);
    if (known?.completedAt && !stage.completedAt) return;
    this.#stages.set(stage.id, stage);
    const row = this.#rows.get(stage.id) ?? this.#addStageRow(stage.id);
    const isDone = Boolean(stage.completedAt);
    row.dataset.done = isDone;
    row.querySelector(".name").textContent = stage.name;
    const name = this.#members.get(stage.completedBy)?.name;
    const completed = `Completed${name ? ` by ${name}` : ""}, ${briefly(stage.completedAt)}`;
    row.querySelector(".meta").textContent = isDone ? completed : "Open";
    const button = row.querySelector("button");
    if (isDone && document.activeElement === button) this.#focusBelow(row);
    button.hidden = isDone;
    button.setAttribute("aria-label", `Complete: ${stage.name}`);
    this.#showProgress();
    if (!fresh || (known && Boolean(known.completedAt) === isDone)) return;
    glow(row);
    announce(isDone ? `Stage ${stage.name} is completed` : `Stage ${stage.name} was added`);
  }

  /** Inserts a row, oldest first. */
  #addStageRow(id) {
    const row = cloneTemplate("stage-row");
    row.dataset.stageId = id;
    const complete = () => this.#attempt(() => this.#complete(row, id));
    row.querySelector("button").addEventListener("click", complete);
    this.#rows.set(id, row);
    const rows = [...$("stages").children];
    const above = rows.findLast((other) => Number(other.dataset.stageId) < id);
    if (above) above.after(row);
    else $("stages").prepend(row);
    return row;
  }

  /** Moves the keyboard's focus to the next open stage. */
  #focusBelow(row) {
    const rows = [...$("stages").children];
    const inOrder = rows.slice(rows.indexOf(row) + 1).concat(rows);
    const next = inOrder.find((other) => other !== row && other.dataset.done === "false");
    (next?.querySelector("button") ?? $("project-name")).focus();
  }

  #showProgress() {
    const stages = [...this.#stages.values()];
    $("progress").max = Math.max(1, stages.length);
    $("progress").value = stages.filter(({ completedAt }) => completedAt).length;
    const words = `${$("progress").value} of ${stages.length} stages completed`;
    $("progress-words").textContent = words;
  }

  async #complete(row, id) {
    if (row.ariaBusy === "true") return;
    row.ariaBusy = "true";
    try {
      const path = `/projects/${this.id}/stages/${id}/complete`;
      this.putStage((await this.#scope.call("POST", path)).data);
    } finally {
      row.ariaBusy = "false";
    }
  }

  async #addStage() {
    const body = { name: $("stage-name").value.trim() };
    const { data } = await this.#scope.call("POST", `/projects/${this.id}/stages`, { body });
    $("stage-form").reset();
    this.putStage(data);
  }

  async #setStatus(status) {
    try {
      await this.#scope.call("PATCH", `/projects/${this.id}`, { body: { status } });
      $("project-status").dataset.status = status;
    } catch (error) {
      // The field shows the current status, not the refused one.
      $("project-status").value = $("project-status").dataset.status;
      throw error;
    }
  }

  /** Starts a conversation of all the project's members and opens it. */
  async #startChat() {
    const body = { title: $("project-name").textContent, projectId: this.id };
    const { data } = await this.#scope.call("POST", "/conversations", { body });
    location.hash = `chat/${data.id}`;
  }

  close() {
    this.room.leave();
    this.#scope.end();
  }
}
