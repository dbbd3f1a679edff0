// A scope: the time from signing in to signing out, or a part of it such as one open conversation.
// Calls, listeners and timers that start in a scope end with it.

import { api } from "./api.js";
import { showText } from "./dom.js";

export class Scope {
  #end = new AbortController();

  constructor(user, outer) {
    this.user = user;
    this.signal = outer ? AbortSignal.any([outer, this.#end.signal]) : this.#end.signal;
  }

  /** A scope within this one, which may end earlier. */
  branch() {
    return new Scope(this.user, this.signal);
  }

  get isOver() {
    return this.signal.aborted;
  }

  /** Calls `api`; the call is aborted when the scope ends. */
  call(method, path, options) {
    return api(method, path, { ...options, signal: this.signal });
  }

  listen(target, event, handler) {
    target.addEventListener(event, handler, { signal: this.signal });
  }

  /** Runs `work` after `ms`, unless the scope is over by then. */
  after(ms, work) {
    return setTimeout(() => this.isOver || work(), ms);
  }

  /** Runs `work`, shows its error in `place`. Resolves to false if the server was unreachable. */
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

  /** Handles a form's "submit": while `work` runs, submitting again does nothing. */
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

/**
 * Wraps `work` so that only one run is active: a call during a run makes it run once more, and
 * resolves to the result of that later run.
 */
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
