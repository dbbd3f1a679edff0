// The view of projects: the list of the user's projects, and the open one.

import { $, arrange, cloneTemplate, showText } from "./dom.js";
import { Project } from "./project.js";
import { Room } from "./room.js";
import { oneAtATime } from "./scope.js";

const PAGE_SIZE = 100;

export class Projects {
  #scope;
  #channel;
  #projects = new Map();
  #rows = new Map();
  #open = null;
  #isShown = false;

  constructor(scope, channel) {
    this.#scope = scope;
    this.#channel = channel;
    $("project-list").replaceChildren();
    const errors = ["projects-error", "project-error", "new-project-error", "stage-error"];
    for (const id of errors) showText($(id), null);
    this.#showOpen();
    scope.listen($("new-project"), "submit", (event) => {
      event.preventDefault();
      scope.submit($("new-project"), $("new-project-error"), () => this.#create());
    });
  }

  handlers = {
    "project:update": (update) => {
      const project = this.#projects.get(update.projectId);
      if (project && update.type === "status_change") {
        this.#put({ ...project, status: update.data.status });
      }
      if (project && update.type === "details_change") this.#put({ ...project, ...update.data });
      if (this.#open?.id === update.projectId) this.#open.update(update);
    },
    "stage:completed": ({ projectId, stage }) => {
      if (this.#open?.id === projectId) this.#open.putStage(stage);
    },
    ...Room.handlers(() => this.#open?.room),
  };

  ready() {
    this.#open?.ready();
    this.#read();
  }

  async refresh() {
    const answers = await Promise.all([this.#read(), this.#open?.refresh() ?? true]);
    return answers.every(Boolean);
  }

  #read = oneAtATime(() =>
    this.#scope.attempt($("projects-error"), async () => {
      const { data } = await this.#scope.call("GET", `/projects?limit=${PAGE_SIZE}`);
      this.#projects = new Map(data.map((project) => [project.id, project]));
      this.#show();
    }),
  );

  #put(project) {
    this.#projects.set(project.id, project);
    this.#show();
  }

  #show() {
    const newestFirst = [...this.#projects.values()].sort((one, other) => other.id - one.id);
    arrange($("project-list"), newestFirst.map((project) => this.#row(project)));
  }

  #row({ id, name, status }) {
    const row = this.#rows.get(id) ?? cloneTemplate("project-row");
    this.#rows.set(id, row);
    row.dataset.projectId = id;
    const link = row.querySelector("a");
    link.href = `#projects/${id}`;
    link.ariaCurrent = this.#open?.id === id ? "true" : null;
    row.querySelector(".title").textContent = name;
    row.querySelector(".state").textContent = status;
    return row;
  }

  async #create() {
    const body = { name: $("new-project-name").value.trim() };
    const { data } = await this.#scope.call("POST", "/projects", { body });
    $("new-project").reset();
    this.#put(data);
    location.hash = `projects/${data.id}`;
  }

  /** Shows the view with project `id` open, or with none. */
  show(id) {
    // No event says that one was added to a project, so the list is read again.
    if (!this.#isShown) this.#read();
    this.#isShown = true;
    if (id === (this.#open?.id ?? null)) return;
    this.#open?.close();
    const known = this.#projects.get(id) ?? { id };
    this.#open = id === null ? null : new Project(this.#scope, this.#channel, known);
    this.#showOpen();
    this.#show();
  }

  hide() {
    this.#isShown = false;
  }

  #showOpen() {
    $("projects-card").dataset.open = this.#open !== null;
    $("project").hidden = !this.#open;
  }
}
