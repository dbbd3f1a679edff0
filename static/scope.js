// A scope: the time from signing in to signing out, or a part of it such as one open conversation. What was begun in it ends with it.

import { api } from "./api.js";
import { showText } from "./dom.js";

export class Scope {
  #end = new AbortController();

  constructor(user, outer) {
    this.user = user;
    this.signal = outer ? AbortSignal.any([outer, this.#end.signal]) : this.#end.signal;
  }

  /** A scope within this one. */
  branch() {
    return new Scope(this.user, this.signal);
  }

  get isOver() {
    return this.signal.aborted;
  }

  /** As `api`. */
  call(method, path, options) {
    return api(method, path, { ...options, signal: this.signal });
  }

  listen(target, event, handler) {
    target.addEventListener(event, handler, { signal: this.signal });
  }

  /** Runs `work` after that long, unless the scope is over by then. */
  after(ms, work) {
    return setTimeout(() => this.isOver || work(), ms);
  }

  /** Does `work` and shows in `place` why it failed, if it did. Resolves to whether the server can be reached. */
  async attempt(place, work) {
    try {
      await work();
      if (!this.isOver) showText(place, null);
      return true;
    } catch (error) {
      if (!this.isOver) showText(place, error.message);
      return error.status !== 0;
    }
  }

  /** For a form's "submit": while `work` runs the form is busy, and pressing again does nothing. */
  async submit(form, place, work) {
    if (form.ariaBusy === "true") return;
    form.ariaBusy = "true";
    await this.attempt(place, work);
    form.ariaBusy = "false";
  }

  end() {
    this.#end.abort();
  }
}

/** `work`, of which only one run goes on at a time: a call meanwhile makes it run once more, and gets what that run gives. */
export function oneAtATime(work) {
  let running = null;
  let again = false;
  return () => {
    again = true;
    running ??= (async () => {
      let result;
      try {
        while (again) {
          again = false;
          result = await work();
        }
      } finally {
        running = null;
      }
      return result;
    })();
    return running;
  };
}
