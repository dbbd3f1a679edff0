// The open project: its members and who is here, its status, and its stages as they are completed.

import { $, announce, briefly, cloneTemplate, glow, showText } from "./dom.js";
import { Room, showPeople } from "./room.js";
import { oneAtATime } from "./scope.js";

/** What the status may be set to here; the server takes any short text. */
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
    this.room = new Room(this.#scope, channel, "project", this.id, () => this.#showPeople());
    $("stages").replaceChildren();
    $("stage-form").reset();
    for (const id of ["project-error", "stage-error"]) showText($(id), null);
    this.#showDetails(known);
    this.#showPeople();
    this.#scope.listen($("project-status"), "change", () => this.#attempt(() => this.#setStatus($("project-status").value)));
    this.#scope.listen($("stage-form"), "submit", async (event) => {
      event.preventDefault();
      await this.#scope.submit($("stage-form"), $("stage-error"), () => this.#addStage());
      $("stage-name").focus();
    });
    this.#scope.listen($("start-chat"), "click", () => this.#attempt(() => this.#startChat()));
    if (channel.isLive) this.ready();
    else this.refresh();
  }

  /** In the room first: what changes while it is read is heard. */
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

  /** Shows what `details` has of name, description and status. */
  #showDetails({ id, name, description, status }) {
    if (name !== undefined || id !== undefined) $("project-name").textContent = name ?? `Project ${id}`;
    if (description !== undefined || id !== undefined) showText($("project-description"), description);
    if (status !== undefined) {
      const values = [...new Set([...STATUSES, status])];
      $("project-status").replaceChildren(...values.map((value) => new Option(value, value, false, value === status)));
      $("project-status").dataset.status = status;
    }
    $("project-status").disabled = $("project-status").options.length === 0;
  }

  #showPeople() {
    showPeople("project-people", this.#members.values(), this.room, this.#scope.user.id);
  }

  /** Takes a report on a stage; a completed one stays so. Oldest first. */
  putStage(stage, { fresh = true } = {}) {
    const known = this.#stages.get(stage.id);
    if (known?.completedAt && !stage.completedAt) return;
    this.#stages.set(stage.id, stage);
    const row = this.#rows.get(stage.id) ?? this.#addStageRow(stage.id);
    const isDone = Boolean(stage.completedAt);
    row.dataset.done = isDone;
    row.querySelector(".name").textContent = stage.name;
    const who = this.#members.get(stage.completedBy)?.name;
    row.querySelector(".meta").textContent = isDone ? `Completed${who ? ` by ${who}` : ""}, ${briefly(stage.completedAt)}` : "Open";
    const button = row.querySelector("button");
    if (isDone && document.activeElement === button) this.#focusBelow(row);
    button.hidden = isDone;
    button.setAttribute("aria-label", `Complete: ${stage.name}`);
    this.#showProgress();
    if (!fresh || (known && Boolean(known.completedAt) === isDone)) return;
    glow(row);
    announce(isDone ? `Stage ${stage.name} is completed` : `Stage ${stage.name} was added`);
  }

  #addStageRow(id) {
    const row = cloneTemplate("stage-row");
    row.dataset.stageId = id;
    row.querySelector("button").addEventListener("click", () => this.#attempt(() => this.#complete(row, id)));
    this.#rows.set(id, row);
    const above = [...$("stages").children].findLast((other) => Number(other.dataset.stageId) < id);
    if (above) above.after(row);
    else $("stages").prepend(row);
    return row;
  }

  /** Whoever works the stages by keyboard goes on with the next open one. */
  #focusBelow(row) {
    const rows = [...$("stages").children];
    const next = rows.slice(rows.indexOf(row) + 1).concat(rows).find((other) => other !== row && other.dataset.done === "false");
    (next?.querySelector("button") ?? $("project-name")).focus();
  }

  #showProgress() {
    const stages = [...this.#stages.values()];
    $("progress").max = Math.max(1, stages.length);
    $("progress").value = stages.filter(({ completedAt }) => completedAt).length;
    $("progress-words").textContent = `${$("progress").value} of ${stages.length} stages completed`;
  }

  async #complete(row, id) {
    if (row.ariaBusy === "true") return;
    row.ariaBusy = "true";
    try {
      this.putStage((await this.#scope.call("POST", `/projects/${this.id}/stages/${id}/complete`)).data);
    } finally {
      row.ariaBusy = "false";
    }
  }

  async #addStage() {
    const { data } = await this.#scope.call("POST", `/projects/${this.id}/stages`, { body: { name: $("stage-name").value.trim() } });
    $("stage-form").reset();
    this.putStage(data);
  }

  async #setStatus(status) {
    try {
      await this.#scope.call("PATCH", `/projects/${this.id}`, { body: { status } });
      $("project-status").dataset.status = status;
    } catch (error) {
      // The box shows what is, not what was wished for.
      $("project-status").value = $("project-status").dataset.status;
      throw error;
    }
  }

  /** A conversation of all the project's members. */
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
