// `#/api`: the interface of this node, from its own OpenAPI document, to be read and tried out.

import { fill, h, visible } from "../dom.js";
import { bytes } from "../format.js";
import { ask, request } from "../node.js";
import { dataText, notice } from "../parts.js";

const METHODS = ["get", "post", "delete"];
/** Of an answer that never ends, so much is shown. */
const ANSWER_MOST = 1 << 20;
const STREAM_MS = 3000;

export async function show({ signal }) {
  const document_ = await ask("/openapi.json", { signal });
  const operations = Object.entries(document_.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => method in methods).map((method) => ({ path, method, ...methods[method] })),
  );
  return [
    h("h1", {}, "The API of this node"),
    h(
      "p",
      {},
      "Everything these pages do, programs can do. The document for them is ",
      h("a", { href: "/openapi.json" }, "/openapi.json"),
      " (OpenAPI 3.1).",
    ),
    document_.tags.map(({ name, description }) =>
      h(
        "section",
        {},
        h("h2", {}, name[0].toUpperCase() + name.slice(1)),
        h("p", {}, description),
        operations
          .filter(({ tags }) => tags.includes(name))
          .map((operation) => operationPart(operation, document_, signal)),
      ),
    ),
  ];
}

/** What a `$ref` of the document leads to. */
function resolved(document_, value) {
  if (!value?.$ref) return value;
  return value.$ref
    .slice(2)
    .split("/")
    .reduce((place, step) => place?.[step], document_);
}

function operationPart(operation, document_, signal) {
  const { method, path, summary, description, responses } = operation;
  const body = h("div", {});
  const details = h(
    "details",
    { class: "operation", id: operation.operationId },
    h(
      "summary",
      {},
      h("span", { class: `method ${method}` }, method.toUpperCase()),
      " ",
      h("code", {}, path),
      " ",
      h("span", { class: "dim" }, summary),
    ),
    body,
  );
  details.addEventListener(
    "toggle",
    () =>
      fill(
        body,
        description !== summary && h("p", {}, description),
        tryPart(operation, document_, signal),
        h("h3", {}, "Answers"),
        h(
          "dl",
          { class: "facts" },
          Object.entries(responses).map(([status, response]) => [
            h("dt", {}, status),
            h("dd", {}, resolved(document_, response).description),
          ]),
        ),
      ),
    { once: true },
  );
  return details;
}

function tryPart(operation, document_, signal) {
  const { method, path, parameters = [], requestBody } = operation;
  const inputs = parameters.filter((each) => each.in !== "header").map((parameter) => field(operation, parameter));
  const body = requestBody
    ? h("textarea", { id: `${operation.operationId}-body`, rows: "4", spellcheck: "false" })
    : null;
  if (body) body.value = JSON.stringify(example(document_, requestBody.content["application/json"].schema), null, 1);
  const command = h("code", { class: "command" });
  const answer = h("div", { "aria-live": "polite" });
  const target = () => targetOf(path, inputs);
  const describe = () => fill(command, curl(method, target(), body?.value));
  const send = async (event) => {
    event.preventDefault();
    fill(answer, h("p", { class: "dim" }, "Asking…"));
    try {
      fill(answer, await answered(method, target(), body?.value, signal));
    } catch (error) {
      if (error.name !== "AbortError") fill(answer, notice(error));
    }
  };
  const form = h(
    "form",
    { class: "try", onsubmit: send, oninput: describe },
    inputs.map(({ parameter, input }) => [
      h("label", { for: input.id }, h("code", {}, parameter.name), ` (${parameter.in}) ${parameter.description}`),
      input,
    ]),
    body && [h("label", { for: body.id }, "Body, as JSON"), body],
    h("p", { class: "scrolls", tabindex: "0" }, command),
    h(
      "p",
      { class: "buttons" },
      h("button", {}, method === "get" ? "Send" : `Send ${method.toUpperCase()}: this changes something`),
    ),
    answer,
  );
  describe();
  return form;
}

function field({ operationId }, parameter) {
  const input = h("input", {
    id: `${operationId}-${parameter.name}`,
    required: parameter.required,
    placeholder: String(parameter.example ?? ""),
    autocomplete: "off",
    spellcheck: "false",
  });
  if (parameter.required) input.value = String(parameter.example ?? "");
  return { parameter, input };
}

function targetOf(path, inputs) {
  let target = path;
  const query = [];
  for (const { parameter, input } of inputs) {
    const value = encodeURIComponent(input.value.trim());
    if (parameter.in === "path")
      target = target.replace(`{${parameter.name}}`, parameter.name === "name" ? value.replaceAll("%2F", "/") : value);
    else if (value) query.push(`${parameter.name}=${value.replaceAll("%2C", ",")}`);
  }
  return query.length ? `${target}?${query.join("&")}` : target;
}

function curl(method, target, body) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", method === "get" ? "" : `-X ${method.toUpperCase()}`, quoted(location.origin + target)];
  if (body !== undefined)
    parts.push("-H 'Content-Type: application/json'", "-d", quoted(body.replaceAll(/\s*\n\s*/g, " ")));
  return parts.filter(Boolean).join(" ");
}

async function answered(method, target, body, signal) {
  const begun = performance.now();
  const ended = AbortSignal.any([signal, AbortSignal.timeout(STREAM_MS * 10)]);
  const response = await request(target, {
    method: method.toUpperCase(),
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body,
    signal: ended,
  });
  const { text, isWhole } = await beginning(response);
  const milliseconds = Math.max(1, Math.round(performance.now() - begun));
  return [
    h(
      "p",
      {},
      h("strong", {}, `${response.status} ${response.statusText}`),
      ` in ${milliseconds} ms, ${bytes(new Blob([text]).size)}${isWhole ? "" : ", and there is more"}`,
    ),
    h(
      "details",
      {},
      h("summary", {}, "Headers"),
      h(
        "dl",
        { class: "values" },
        [...response.headers].map(([name, value]) => [h("dt", {}, name), h("dd", {}, h("code", {}, visible(value)))]),
      ),
    ),
    dataText(pretty(text)),
  ];
}

/** The answer's text, or as much of it as comes in a while: events and whole chains need not end. */
async function beginning(response) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const begun = performance.now();
  let text = "";
  while (reader && text.length < ANSWER_MOST && performance.now() - begun < STREAM_MS) {
    const late = new Promise((resolve) => setTimeout(resolve, STREAM_MS, { late: true }));
    const { done, value, late: isLate } = await Promise.race([reader.read(), late]);
    if (done) return { text, isWhole: true };
    if (isLate) break;
    text += value;
  }
  reader?.cancel().catch(() => {});
  return { text, isWhole: !reader };
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// --- examples -------------------------------------------------------------------------------------

/** Something that a schema describes: its example, or one made of those of its members. */
function example(document_, schema, depth = 0) {
  const found = resolved(document_, schema);
  if (found === undefined || depth > 4) return null;
  if (found.examples?.length) return found.examples[0];
  for (const name of ["example", "default", "const"]) if (name in found) return found[name];
  if (found.enum) return found.enum[0];
  const [choice] = found.oneOf ?? found.anyOf ?? found.allOf ?? [];
  if (choice) return example(document_, choice, depth + 1);
  if (found.properties) {
    const named = (found.required ?? Object.keys(found.properties)).filter((name) => name in found.properties);
    return Object.fromEntries(named.map((name) => [name, example(document_, found.properties[name], depth + 1)]));
  }
  if (found.type === "array") return [example(document_, found.items, depth + 1)];
  return { string: "hello", integer: 1, number: 1, boolean: true }[found.type] ?? "hello";
}
