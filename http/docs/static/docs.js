// The reference page: shows an OpenAPI document. It makes elements and text, never HTML from data.

const root = document.documentElement.dataset.root;
const main = document.getElementById("main");
const METHODS = ["get", "put", "post", "delete", "patch"];

/** Make an element with attributes and children, which are elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make text with `code` between backticks. */
function prose(text) {
  return (text ?? "").split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));
}

function anchor(text) {
  return encodeURIComponent(text);
}

/** Describe in a few words the values that a schema allows. */
function typeOf(schema) {
  if (schema === undefined || schema === true || Object.keys(schema).length === 0) return ["anything"];
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [make("a", { href: `#schema-${anchor(name)}` }, name)];
  }
  if (schema.allOf) return schema.allOf.flatMap((part) => (part.$ref ? typeOf(part) : []));
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.flatMap((option, i) => (i ? [" or ", ...typeOf(option)] : typeOf(option)));
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" or ")];
  if ("const" in schema) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items)];
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    return ["map to ", ...typeOf(schema.additionalProperties)];
  }
  const bounds = [];
  if (schema.minimum !== undefined) bounds.push(`from ${schema.minimum}`);
  if (schema.maximum !== undefined) bounds.push(`to ${schema.maximum}`);
  return [[schema.format ?? schema.type ?? "anything", ...bounds].join(" ")];
}

function table(headings, rows) {
  if (rows.length === 0) return null;
  const head = make("tr", {}, headings.map((heading) => make("th", { scope: "col" }, heading)));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, rows));
}

function row(...cells) {
  return make("tr", {}, cells.map((cell) => make("td", {}, cell)));
}

function parametersOf(operation) {
  const rows = (operation.parameters ?? []).map((each) =>
    row(make("code", {}, each.name), each.in, typeOf(each.schema), prose(each.description)));
  return table(["Name", "In", "Type", "Meaning"], rows);
}

function bodyOf(operation) {
  const body = operation.requestBody;
  if (!body) return null;
  const types = Object.values(body.content ?? {}).flatMap((content) => typeOf(content.schema));
  return make("p", {}, make("strong", {}, "Body: "), types, body.description ? [". ", prose(body.description)] : null);
}

function answersOf(document_, operation) {
  const rows = Object.entries(operation.responses ?? {}).map(([status, given]) => {
    const answer = given.$ref ? document_.components.responses[given.$ref.split("/").pop()] : given;
    const types = Object.entries(answer.content ?? {}).flatMap(([media, content], i) =>
      [i ? ", " : "", ...(media === "application/json" ? typeOf(content.schema) : [media])]);
    return row(make("code", {}, status), prose(answer.description), types);
  });
  return table(["Status", "When", "Body"], rows);
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Write the call as a command line. */
function curl(document_, path, method, operation) {
  const query = (operation.parameters ?? []).filter((each) => each.in === "query" && each.required)
    .map((each) => `${each.name}=${each.name.toUpperCase()}`).join("&");
  const parts = ["curl"];
  if (method !== "get") parts.push("-X", method.toUpperCase());
  if ((operation.security ?? document_.security ?? []).length) parts.push("-H", quoted("dapr-api-token: TOKEN"));
  if (operation.requestBody) parts.push("-d", quoted("{}"));
  parts.push(quoted(`${location.origin}${root}${path}${query ? `?${query}` : ""}`));
  return parts.join(" ");
}

function operationOf(document_, path, method, operation) {
  const title = [
    make("span", { class: `method ${method}` }, method.toUpperCase()),
    make("code", {}, path), " ", make("span", { class: "quiet" }, operation.summary ?? ""),
  ];
  const text = operation.description ? make("p", {}, prose(operation.description)) : null;
  return make("details", { id: anchor(operation.operationId) }, make("summary", {}, title), make("div", {},
    text, parametersOf(operation), bodyOf(operation), answersOf(document_, operation),
    make("pre", {}, curl(document_, path, method, operation))));
}

function schemaOf(name, schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([key, value]) =>
    row(make("code", {}, key), typeOf(value), required.has(key) ? "" : "may be absent", prose(value.description)));
  return make("details", { id: `schema-${anchor(name)}` }, make("summary", {}, make("code", {}, name)),
    make("div", {}, make("p", {}, prose(schema.description)), table(["Field", "Type", "", "Meaning"], rows)));
}

function render(document_) {
  const groups = new Map((document_.tags ?? []).map((tag) => [tag.name, []]));
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((each) => each in methods)) {
      const operation = methods[method];
      const group = operation.tags?.[0] ?? "";
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(operationOf(document_, path, method, operation));
    }
  }
  const sections = [...groups].map(([name, operations]) => make("section", {}, make("h2", {}, name),
    make("p", { class: "quiet" }, (document_.tags ?? []).find((tag) => tag.name === name)?.description ?? ""),
    operations));
  const schemas = Object.entries(document_.components?.schemas ?? {}).map(([name, schema]) => schemaOf(name, schema));
  main.replaceChildren(
    make("p", {}, prose(document_.info.summary)), make("p", { class: "quiet" }, prose(document_.info.description)),
    ...sections, make("section", {}, make("h2", {}, "Values"), schemas));
  openTarget();
}

/** Unfold the route or the value that the address names. */
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.tagName === "DETAILS") {
    target.open = true;
    target.scrollIntoView();
  }
}

function askForToken(again) {
  const input = make("input", { type: "password", autocomplete: "current-password", required: "", id: "token" });
  const complaint = make("p", { role: "alert" });
  const form = make("form", {}, make("label", { for: "token" }, "API token", input), make("button", {}, "Log in"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetch(`${root}/api/v1/session`, {
      method: "POST", body: JSON.stringify({ token: input.value }),
    });
    if (response.ok) await again();
    else complaint.textContent = (await response.json()).message;
  });
  main.replaceChildren(make("p", {}, "This daemon asks for an API token."), form, complaint);
  input.focus();
}

async function show() {
  const dapr = location.hash === "#dapr";
  const response = await fetch(`${root}/api/v1/openapi.json${dapr ? "?of=dapr" : ""}`);
  if (response.status === 401) askForToken(show);
  else if (response.ok) render(await response.json());
  else main.replaceChildren(make("p", { role: "alert" }, `The description cannot be read: status ${response.status}.`));
}

window.addEventListener("hashchange", () => {
  if (location.hash === "#dapr" || location.hash === "") show();
  else openTarget();
});
show();
