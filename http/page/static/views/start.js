// Starts a workflow: its input is a form made from the schema, or JSON.

import { html, useEffect, useState } from "../core/ui.js";
import { path, post } from "../core/api.js";
import { useAsked } from "../core/asked.js";
import { curl, perdure } from "../core/commands.js";
import { go, to } from "../core/place.js";
import { Commands } from "../parts/copy.js";
import { Field } from "../parts/field.js";
import { notify, Problem } from "../parts/notices.js";
import { View } from "../parts/sheet.js";
import { exampleOf, resolved, SchemaForm } from "./start/schema_form.js";

/** @param {{name: string}} props "": no workflow is chosen yet */
export function Start({ name }) {
  const asked = useAsked("/workflows");
  return html`<${View} title="Start a workflow" asked=${asked}>${() => html`<${Form} key=${name} name=${name} workflows=${asked.data.items} />`}<//>`;
}

/** @param {{name: string, workflows: any[]}} props */
function Form({ name, workflows }) {
  const workflow = workflows.find((each) => each.name === name) ?? null;
  const schema = workflow?.input_schema ?? null;
  const root = schema ? resolved(schema, schema) : null;
  const asForm = root !== null && (root.type === "object" ? Boolean(root.properties) : ["string", "number", "integer", "boolean"].includes(root.type));
  const [json, setJson] = useState(!asForm);
  const [value, setValue] = useState(/** @type {any} */ (() => (schema ? exampleOf(schema, schema) : undefined)));
  const [text, setText] = useState(() => (schema && !asForm ? JSON.stringify(exampleOf(schema, schema), null, 2) : ""));
  const [id, setId] = useState("");
  const [startAt, setStartAt] = useState("");
  const [tags, setTags] = useState("");
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [typed, setTyped] = useState(name);
  useEffect(() => setTyped(name), [name]);
  const sent = json || !asForm ? text : JSON.stringify(value);
  const query = {
    id,
    start_at: startAt ? new Date(startAt).toISOString() : "",
    ...Object.fromEntries(tags.split(/[,\n]/).map((each) => each.split("=").map((part) => part.trim())).filter(([key, value]) => key && value).map(([key, value]) => [`tag.${key}`, value])),
  };
  const where = path("workflows", name, "instances");
  const begin = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const made = await post(where, { query, text: sent });
      notify(`${made.id} was started.`);
      go(to(["instances", made.id]));
    } catch (failure) {
      setError(failure);
    }
  };
  const choose = (/** @type {string} */ next) => {
    setTyped(next);
    if (workflows.some((each) => each.name === next)) go(to(["start", next]), { replace: true });
  };
  return html`<form class="card start" onSubmit=${begin}>
    <label class="field"><span>Workflow</span>
      <input list="workflows" value=${typed} autocomplete="off" spellcheck=${false} required autofocus=${!name}
        onInput=${(/** @type {any} */ event) => choose(event.target.value)}
        onChange=${(/** @type {any} */ event) => event.target.value !== name && go(to(["start", event.target.value]), { replace: true })} />
      <datalist id="workflows">${workflows.map((each) => html`<option key=${each.name} value=${each.name}></option>`)}</datalist>
    </label>
    ${name ? html`
      <fieldset><legend>Input${root?.description ? html` <small>${root.description}</small>` : null}</legend>
        ${asForm ? html`<div class="segments" role="group" aria-label="How the input is given">
          <button type="button" aria-pressed=${!json} onClick=${() => setJson(false)}>Form</button>
          <button type="button" aria-pressed=${json} onClick=${() => {
            setText(JSON.stringify(value, null, 2));
            setJson(true);
          }}>JSON</button></div>` : null}
        ${asForm && !json ? html`<${SchemaForm} schema=${schema} value=${value} set=${setValue} />` : html`<${Field} label="Input" hint="JSON; none if it is empty" value=${text} set=${setText} lines=${8} mono=${true} />`}
      </fieldset>
      <div class="pair">
        <${Field} label="Id" hint="a new one if it is empty" value=${id} set=${setId} mono=${true} />
        <${Field} label="Start at" hint="now if it is empty" type="datetime-local" value=${startAt} set=${setStartAt} />
      </div>
      <${Field} label="Tags" hint="key=value, with commas between" value=${tags} set=${setTags} mono=${true} />
      <${Problem} error=${error} />
      <${Commands} commands=${[
        { tool: "curl", text: curl("POST", where, { query, text: sent }) },
        { tool: "perdure", text: perdure("start", name, ...(id ? ["--id", id] : []), ...(sent ? ["--input", sent] : [])) },
        { tool: "dapr", text: `dapr workflow run ${name} --app-id APP_ID${sent ? ` --input '${sent}'` : ""}` },
      ]} />
      <footer><button type="submit" class="primary">Start</button></footer>` : html`<p class="quiet">Choose one of the app's workflows, or type the name of one that a worker has.</p>`}
  </form>`;
}
