// A form made from a JSON Schema, for objects of plain values; nested values are entered as JSON.

import { html, useState } from "../../core/ui.js";
import { Choice, Field, Tick } from "../../parts/field.js";

/** @typedef {any} Schema */

/**
 * Resolve a reference to the definitions of the whole schema, and reduce "this or null" to "this".
 * @param {Schema} schema
 * @param {Schema} whole
 * @returns {Schema}
 */
export function resolved(schema, whole) {
  let found = schema;
  for (let depth = 0; found?.$ref && depth < 20; depth++) {
    found = { ...whole.$defs?.[decodeURIComponent(found.$ref.replace("#/$defs/", ""))], ...{ default: found.default } };
  }
  const some = found?.anyOf?.filter((/** @type {Schema} */ each) => each.type !== "null");
  return some?.length === 1 ? { ...resolved(some[0], whole), default: found.default } : found ?? {};
}

/**
 * An initial value, with the defaults of the schema.
 * @param {Schema} schema
 * @param {Schema} whole
 * @returns {any}
 */
export function exampleOf(schema, whole) {
  const found = resolved(schema, whole);
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum[0];
  switch (found.type) {
    case "object":
      return Object.fromEntries(Object.entries(found.properties ?? {}).filter(([name]) => found.required?.includes(name)).map(([name, each]) => [name, exampleOf(each, whole)]));
    case "array":
      return [];
    case "string":
      return "";
    case "integer":
    case "number":
      return 0;
    case "boolean":
      return false;
    default:
      return null;
  }
}

/** @param {{schema: Schema, value: any, set: (value: any) => void}} props */
export function SchemaForm({ schema, value, set }) {
  const root = resolved(schema, schema);
  if (root.type !== "object") return html`<${One} name="Value" schema=${root} whole=${schema} value=${value} set=${set} required=${true} />`;
  return html`<div class="schema-form">${Object.entries(root.properties).map(([name, each]) => html`<${One} key=${name} name=${name} schema=${resolved(each, schema)} whole=${schema}
    value=${value?.[name]} required=${root.required?.includes(name) ?? false} set=${(/** @type {any} */ next) => {
      const { [name]: _, ...rest } = value ?? {};
      set(next === undefined ? rest : { ...rest, [name]: next });
    }} />`)}</div>`;
}

/** @param {{name: string, schema: Schema, whole: Schema, value: any, set: (value: any) => void, required: boolean}} props */
function One({ name, schema, value, set, required }) {
  const hint = [schema.description, required ? "" : "optional"].filter(Boolean).join("; ");
  const text = value === undefined || value === null ? "" : String(value);
  if (schema.enum) return html`<${Choice} label=${name} value=${text} set=${(/** @type {string} */ next) => set(schema.enum.find((/** @type {any} */ each) => String(each) === next))} options=${schema.enum.map((/** @type {any} */ each) => ({ value: String(each), text: String(each) }))} />`;
  switch (schema.type) {
    case "boolean":
      return html`<${Tick} label=${name} value=${value === true} set=${set} />`;
    case "integer":
    case "number":
      return html`<label class="field"><span>${name}${hint ? html` <small>${hint}</small>` : null}</span>
        <input type="number" step=${schema.type === "integer" ? "1" : "any"} value=${text} required=${required}
          onInput=${(/** @type {any} */ event) => set(event.target.value === "" ? undefined : Number(event.target.value))} /></label>`;
    case "string":
      return html`<${Field} label=${name} hint=${hint} value=${text} set=${(/** @type {string} */ next) => set(next === "" && !required ? undefined : next)} />`;
    default:
      return html`<${Json} name=${name} hint=${hint} value=${value} set=${set} />`;
  }
}

/** @param {{name: string, hint: string, value: any, set: (value: any) => void}} props */
function Json({ name, hint, value, set }) {
  const [text, setText] = useState(() => (value === undefined ? "" : JSON.stringify(value)));
  const [wrong, setWrong] = useState(false);
  const typed = (/** @type {string} */ next) => {
    setText(next);
    try {
      set(next === "" ? undefined : JSON.parse(next));
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };
  return html`<${Field} label=${name} hint=${wrong ? "this is not JSON yet" : `JSON${hint ? `; ${hint}` : ""}`} value=${text} set=${typed} lines=${3} mono=${true} />`;
}
