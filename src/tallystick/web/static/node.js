// How these pages ask the node: its public API and nothing else, as any other client would.

/** The longest line of an event stream that is kept: a reorg that names a hundred blocks is far shorter. */
const LINE_MOST = 1 << 20;
const AGAIN_MS = 1000;
const KEPT_AS = "tallystick-token";

/** The node refused, or could not be asked. The message is for people. */
export class Problem extends Error {
  /** @param {string} message @param {number} status 0: no answer came @param {string} type */
  constructor(message, status, type = "") {
    super(message);
    this.status = status;
    this.type = type.replace("urn:tallystick:problem:", "");
  }
}

/**
 * Ask for JSON. Raises Problem; AbortError when `signal` says so.
 * @param {string} path
 * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [options]
 */
export async function ask(path, { method = "GET", body, signal } = {}) {
  const response = await request(path, {
    method,
    signal,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

/** The answer itself, whatever it is. A token is asked of the reader where one is needed. Raises Problem. */
export async function request(path, options) {
  checkPath(path);
  for (;;) {
    const token = sessionStorage.getItem(KEPT_AS);
    const headers = { accept: "application/json", ...options.headers };
    if (token) headers.authorization = `Bearer ${token}`;
    let response;
    try {
      response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("The node does not answer. It may be stopped, or out of reach.", 0);
    }
    if (response.status !== 401 || !(await tokenGiven(token))) return response;
  }
}

/** A path has to be what is asked for. With `..` as somebody's id or hash in it, or a host, it would be another one, and be
 * answered (RFC 3986, section 5.2.4). */
function checkPath(path) {
  const { origin, pathname } = new URL(path, location.origin);
  if (origin !== location.origin || pathname !== path.split("?")[0])
    throw new Problem("No address leads to anything of this name.", 404);
}

function textOr(value, other) {
  return typeof value === "string" ? value : other;
}

async function problemOf(response) {
  const document = await response.json().catch(() => null);
  const [title, detail, type] = ["title", "detail", "type"].map((name) => textOr(document?.[name], ""));
  const words = [title || `status ${response.status}`, detail].filter(Boolean).join(": ");
  return new Problem(`${words[0].toUpperCase()}${words.slice(1)}.`, response.status, type);
}

// --- the token ------------------------------------------------------------------------------------

let asking = null;

/** Ask the reader, once for all questions that wait. False when they give none. */
function tokenGiven(refused) {
  if (sessionStorage.getItem(KEPT_AS) !== refused) return Promise.resolve(true); // another question asked meanwhile
  asking ??= dialogue().finally(() => (asking = null));
  return asking;
}

function dialogue() {
  const dialog = document.getElementById("token");
  const input = document.getElementById("token-text");
  input.value = "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const given = dialog.returnValue === "send" && /^[!-~]+$/.test(input.value.trim());
        if (given) sessionStorage.setItem(KEPT_AS, input.value.trim());
        resolve(given);
      },
      { once: true },
    );
  });
}

// --- what happens ---------------------------------------------------------------------------------

/**
 * Follow the node's events until `signal` ends it. A lost connection is taken up again behind the last event, so
 * nothing is missed; a page that nobody looks at keeps none open.
 * @param {{types: string[], from?: number, signal: AbortSignal}} wanted
 * @param {(kind: string, data: any) => void} tell
 * @param {(isConnected: boolean) => void} [connection]
 */
export async function follow({ types, from, signal }, tell, connection = () => {}) {
  let last = "";
  while (!signal.aborted) {
    await seen(signal);
    const lost = new AbortController();
    const hide = () => document.hidden && lost.abort();
    const end = () => lost.abort();
    document.addEventListener("visibilitychange", hide);
    signal.addEventListener("abort", end);
    try {
      const query = `/events?types=${types.join(",")}${last || from === undefined ? "" : `&from=${from}`}`;
      const headers = last ? { "last-event-id": last } : {};
      const response = await request(query, { headers, signal: lost.signal });
      if (!response.ok) throw await problemOf(response);
      connection(true);
      for await (const event of eventsOf(response.body)) {
        last = event.id || last;
        if (event.kind) tell(event.kind, event.data);
      }
    } catch (error) {
      if (!(error instanceof Problem) && error.name !== "AbortError" && error.name !== "TypeError") throw error;
    } finally {
      document.removeEventListener("visibilitychange", hide);
      signal.removeEventListener("abort", end);
    }
    if (signal.aborted) return;
    connection(false);
    await pause(AGAIN_MS, signal);
  }
}

/** Events of a stream (HTML standard, section 9.2.6), as far as this node uses it. */
async function* eventsOf(stream) {
  let text = "";
  let event = { id: "", kind: "", data: null };
  for await (const piece of textOf(stream)) {
    text += piece;
    const lines = text.split("\n");
    text = lines.pop();
    if (text.length > LINE_MOST) throw new Problem("The node sent an event that is too long.", 0);
    for (const line of lines) {
      if (line === "") {
        if (event.id || event.kind) yield event;
        event = { id: "", kind: "", data: null };
      } else if (line.startsWith("id: ")) event.id = line.slice(4);
      else if (line.startsWith("event: ")) event.kind = line.slice(7);
      else if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
    }
  }
}

async function* textOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function seen(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      document.removeEventListener("visibilitychange", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    document.addEventListener("visibilitychange", done);
    signal.addEventListener("abort", done);
  });
}

/** Wait, unless `signal` ends it. A page may stay open for weeks, so nothing of a wait is left at the signal. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}

/** `act`, one at a time. Whoever asks for it meanwhile gets it once more, so what is seen last is how things are. */
export function inTurn(act) {
  let isDue = false;
  let isActing = false;
  return async () => {
    isDue = true;
    if (isActing) return;
    isActing = true;
    try {
      while (isDue) {
        isDue = false;
        await act();
      }
    } finally {
      isActing = false;
    }
  };
}

/** Do something now, and every so often while the page is looked at, until `signal` ends it. */
export async function repeat(milliseconds, signal, act) {
  while (!signal.aborted) {
    await seen(signal);
    if (signal.aborted) return;
    await act();
    await pause(milliseconds, signal);
  }
}
