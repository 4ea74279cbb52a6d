// The first page: the end of the chain as it grows, and what the node is doing.

import { fill, h, visible } from "../dom.js";
import { ago, bytes, compact, counted, dated, number, short, spell } from "../format.js";
import { ask, follow, Problem, repeat } from "../node.js";
import { blockLink, notice } from "../parts.js";
import { ChainDrawing, DRAWN } from "./chain.js";

const STATUS_MS = 2000;
const FORKS_MS = 10_000;
const BRANCHES = 8;
const HAPPENINGS = 8;

export async function show({ network, signal }) {
  const status = await ask("/status", { signal });
  const page = new Overview(network, status, signal);
  page.begin();
  return page.content;
}

class Overview {
  #chain = new ChainDrawing();
  #cards = h("div", { class: "cards" });
  #happenings = h(
    "ol",
    { class: "happenings" },
    h("li", { class: "dim none" }, "Nothing since you came. Blocks, reorgs and peers are told as they come."),
  );
  #live = h("p", { class: "live", role: "status" }, "Connecting…");
  #status;
  #newsFrom;
  #signal;

  constructor(network, status, signal) {
    this.#status = status;
    this.#newsFrom = status.tip.index;
    this.#signal = signal;
    this.content = [
      h("h1", {}, h("bdi", {}, visible(network.name)), " ", h("small", {}, `a ${network.kind} network`)),
      h(
        "section",
        { "aria-labelledby": "chain-title" },
        h("div", { class: "row" }, h("h2", { id: "chain-title" }, "The chain"), this.#live),
        this.#chain.element,
      ),
      h(
        "p",
        { class: "buttons" },
        h("a", { class: "button", href: "#/post" }, network.kind === "classic" ? "Post a block" : "Post a record"),
        h("a", { href: "#/blocks" }, "All blocks"),
      ),
      this.#cards,
      h("section", {}, h("h2", {}, "What happens"), this.#happenings),
    ];
    this.#drawCards();
  }

  begin() {
    const { index } = this.#status.tip;
    const from = Math.max(0, index - DRAWN + 1);
    follow({ types: ["block", "reorg", "peer"], from, signal: this.#signal }, this.#told, this.#connection).catch(
      this.#failed,
    );
    repeat(STATUS_MS, this.#signal, () => this.#ask("/status", (status) => this.#drawCards(status)));
    repeat(FORKS_MS, this.#signal, () => this.#lookForForks());
  }

  #told = (kind, data) => {
    if (kind === "block") {
      const isNews = data.index > this.#newsFrom; // before that it was there when the page was opened
      this.#chain.add(data);
      if (isNews)
        this.#note(
          blockLink(data.hash, `Block ${number(data.index)}`),
          ` ${short(data.hash)}`,
          data.records === null ? "" : `, ${counted(data.records, "record")}`,
        );
    } else if (kind === "reorg") {
      this.#chain.cut(data.fork.index);
      this.#newsFrom = Math.min(this.#newsFrom, data.fork.index);
      this.#lookForForks();
      this.#note(
        h("strong", {}, "Reorg: "),
        `${counted(data.removed.length, "block")} left the best chain after `,
        blockLink(data.fork.hash, `block ${number(data.fork.index)}`),
        ". ",
        h("a", { href: "#/forks" }, "What came instead"),
      );
    } else if (kind === "reset") {
      this.#chain.cut(-1);
      this.#newsFrom = data.index;
      this.#chain.add({ ...data, records: null });
    } else if (kind === "peer") {
      this.#note(`Peer ${visible(data.address)} `, data.state === "connected" ? "is connected" : "is gone");
    }
  };

  #connection = (isConnected) => {
    this.#live.classList.toggle("on", isConnected);
    fill(this.#live, isConnected ? "Live" : "Not connected. Trying again…");
  };

  #failed = (error) => fill(this.#live, notice(error));

  #note(...content) {
    this.#happenings.querySelector(".dim.none")?.remove();
    this.#happenings.prepend(
      h("li", {}, h("time", { class: "dim" }, new Date().toLocaleTimeString("en")), " ", content),
    );
    while (this.#happenings.children.length > HAPPENINGS) this.#leastOfAll().remove();
  }

  /** The oldest, but a reorg is not to be hidden by the blocks that came with it. */
  #leastOfAll() {
    const { children, lastElementChild } = this.#happenings;
    return [...children].findLast((item) => !item.querySelector("strong")) ?? lastElementChild;
  }

  #lookForForks() {
    return this.#ask(`/forks?limit=${BRANCHES}`, (forks) => this.#chain.beside(forks));
  }

  async #ask(path, then) {
    try {
      const answer = await ask(path, { signal: this.#signal });
      if (!this.#signal.aborted) then(answer);
    } catch (error) {
      if (!(error instanceof Problem) && error.name !== "AbortError") throw error; // the live line says that it is away
    }
  }

  #drawCards(status = this.#status) {
    this.#status = status;
    const connected = status.peers.filter((peer) => peer.state === "connected").length;
    fill(
      this.#cards,
      status.sync && card("Sync", syncParts(status.sync)),
      card(
        "Tip",
        blockLink(status.tip.index, `Block ${number(status.tip.index)}`),
        h("code", {}, short(status.tip.hash)),
        ago(dated(status.tip)),
      ),
      card(
        "Peers",
        h("a", { href: "#/peers" }, counted(connected, "connection")),
        counted(status.addresses, "known address", "known addresses"),
      ),
      status.pool &&
        card(
          "Pool",
          h("strong", {}, counted(status.pool.records, "record")),
          h("meter", {
            min: 0,
            max: status.pool.most_bytes,
            value: status.pool.bytes,
            "aria-label": "How full the pool is",
          }),
          `${bytes(status.pool.bytes)} of ${bytes(status.pool.most_bytes)}`,
        ),
      status.mining &&
        card(
          "Mining",
          h(
            "strong",
            {},
            status.mining.is_mining
              ? `${compact(status.mining.hashes_per_second ?? 0)} hashes/s`
              : "This node does not mine",
          ),
          `${compact(status.mining.expected_hashes)} hashes a block, on average`,
          status.mining.expected_ms ? `a block of its own every ${spell(status.mining.expected_ms / 1000)}` : null,
        ),
      status.lost_duties && card("Being mined again", "Posts whose blocks left the chain are on their way back."),
      card(
        "Node",
        h("strong", {}, `up ${spell(status.uptime_ms / 1000)}`),
        status.data_bytes === null ? "keeps its data in memory" : `${bytes(status.data_bytes)} of data`,
        status.key ? h("code", { title: "Node key" }, short(status.key)) : null,
      ),
    );
  }
}

function card(title, ...content) {
  return h(
    "section",
    { class: "card" },
    h("h3", {}, title),
    content
      .flat()
      .filter(Boolean)
      .map((part) => h("p", {}, part)),
  );
}

function syncParts({ index, target, blocks_per_second: pace, remaining_ms: remaining }) {
  return [
    h("progress", { max: Math.max(1, target), value: index, "aria-label": "Sync" }),
    `${number(index)} of ${number(target)} blocks`,
    `${number(Math.round(pace))} a second${remaining === null ? "" : `, about ${spell(remaining / 1000)} left`}`,
  ];
}
