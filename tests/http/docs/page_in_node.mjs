// Runs the script of the reference page on a document, with as much of a browser as it needs.
// node page_in_node.mjs SCRIPT DOCUMENT [HASH] [STATUS]
import { copyFileSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [script, document_, hash = "", status = "200"] = process.argv.slice(2);
const byId = {};

class Element {
  constructor(tag) {
    this.tagName = tag.toUpperCase();
    this.children = [];
    this.dataset = { root: "/root" };
  }

  setAttribute(name, value) {
    if (name === "id") byId[value] = this;
  }

  append(...children) {
    this.children.push(...children.flat());
  }

  replaceChildren(...children) {
    this.children = children.flat();
  }

  addEventListener() {}

  scrollIntoView() {}

  focus() {}
}

function textOf(node) {
  if (typeof node === "string") return node;
  if (!(node instanceof Element)) throw new Error(`neither an element nor text: ${node}`);
  return node.children.map(textOf).join(" ");
}

const fetched = [];
byId.main = new Element("main");
globalThis.document = {
  documentElement: new Element("html"),
  getElementById: (id) => byId[id] ?? null,
  createElement: (tag) => new Element(tag),
};
globalThis.location = { hash, origin: "http://here" };
globalThis.window = { addEventListener() {} };
globalThis.fetch = async (url) => {
  fetched.push(url);
  return { status: Number(status), ok: status === "200", json: async () => JSON.parse(readFileSync(document_)) };
};

const module_ = join(mkdtempSync(join(tmpdir(), "page-")), "script.mjs");
copyFileSync(script, module_);
await import(module_);
await new Promise((resolve) => setTimeout(resolve, 20));
console.log(JSON.stringify({ fetched, text: textOf(byId.main), open: byId[hash.slice(1)]?.open === true }));
