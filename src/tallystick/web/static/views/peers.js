// `#/peers`: the nodes this one is connected to, and the way to more of them.

import { announce, fill, h, visible } from "../dom.js";
import { bytes, counted, number, short, spell } from "../format.js";
import { ask, Problem, repeat } from "../node.js";
import { notice, table } from "../parts.js";

const LOOK_MS = 2000;

export async function show({ signal }) {
  const place = h("div", {});
  const said = h("div", {});
  const draw = async () => {
    const status = await ask("/status", { signal });
    if (place.contains(document.activeElement)) return; // somebody is about to press a button
    fill(place, peersTable(status.peers, said, draw), dropped(status.dropped));
  };
  await draw();
  repeat(LOOK_MS, signal, () => draw().catch(unlessAway));
  const input = h("input", {
    id: "peer",
    placeholder: "ws://192.168.1.7:3001",
    required: true,
    maxlength: "300",
    autocomplete: "off",
    spellcheck: "false",
  });
  const add = async (event) => {
    event.preventDefault();
    await tried(said, async () => {
      await ask("/addPeer", { method: "POST", body: { peer: input.value.trim() }, signal });
      announce("The node dials it, now and always.");
      input.value = "";
      await draw();
    });
  };
  return [
    h("h1", {}, "Peers"),
    h(
      "form",
      { class: "inline", onsubmit: add },
      h("label", { for: "peer" }, "Dial another node, now and after every restart"),
      input,
      h("button", {}, "Add"),
    ),
    said,
    place,
  ];
}

function unlessAway(error) {
  if (!(error instanceof Problem) && error.name !== "AbortError") throw error;
}

async function tried(said, act) {
  fill(said);
  try {
    await act();
  } catch (error) {
    if (error.name !== "AbortError") fill(said, notice(error));
  }
}

function peersTable(peers, said, draw) {
  if (!peers.length)
    return h(
      "p",
      { class: "dim" },
      "None yet. Name one above, or start another node with --peer and this one's address.",
    );
  return table(
    "Peers",
    ["Address", "State", "Dialect", "Tip", "Traffic", "Latency", "Program", ""],
    peers.map((peer) => [
      h("bdi", {}, visible(peer.address)),
      [state(peer), peer.last_error && h("span", { class: "dim" }, " ", visible(peer.last_error))],
      peer.dialect ?? "",
      peer.tip ? [number(peer.tip.index), " ", h("code", {}, short(peer.tip.hash))] : "",
      peer.state === "connected" ? `${bytes(peer.received_bytes)} in, ${bytes(peer.sent_bytes)} out` : "",
      peer.latency_ms === null ? "" : `${number(peer.latency_ms)} ms`,
      [
        peer.agent ? h("bdi", {}, visible(peer.agent)) : "",
        peer.key ? [" ", h("code", { title: "Node key" }, short(peer.key))] : "",
      ],
      forget(peer, said, draw),
    ]),
  );
}

function state(peer) {
  if (peer.state === "connected") return `connected, ${peer.direction}, for ${spell((peer.connected_ms ?? 0) / 1000)}`;
  return peer.next_dial_ms === null ? peer.state : `${peer.state}; dialled again in ${spell(peer.next_dial_ms / 1000)}`;
}

function forget(peer, said, draw) {
  const address = peer.dialled ?? peer.address;
  const button = h("button", { type: "button", class: "quiet", "aria-label": `Forget ${address}` }, "Forget");
  button.addEventListener("click", () =>
    tried(said, async () => {
      button.blur();
      await ask(`/peers/${encodeURIComponent(address)}`, { method: "DELETE" });
      announce(`${address} is forgotten.`);
      await draw();
    }),
  );
  return button;
}

function dropped(list) {
  if (!list.length) return null;
  return [
    h("h2", {}, `The last ${counted(list.length, "connection")} that this node ended for a reason`),
    table(
      "Connections that were ended",
      ["Address", "Rule", "What was wrong"],
      list.map(({ address, rule, detail }) => [h("bdi", {}, visible(address)), visible(rule), visible(detail)]),
    ),
  ];
}
