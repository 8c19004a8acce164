// The login: it exchanges a token for a cookie, with which this daemon's API can be used for twelve hours.

import { html, useState } from "../core/ui.js";
import { logIn } from "../core/api.js";
import { reconnect } from "../core/live.js";
import { Mark } from "../parts/mark.js";
import { Problem } from "../parts/notices.js";

export function Login() {
  const [token, setToken] = useState("");
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [busy, setBusy] = useState(false);
  const enter = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await logIn(token);
      reconnect();
    } catch (failure) {
      setError(failure);
    }
    setBusy(false);
  };
  return html`<main class="login">
    <form onSubmit=${enter}>
      <${Mark} />
      <h1>Perdure</h1>
      <p class="quiet">This daemon asks for an API token.</p>
      <label class="field"><span>Token</span>
        <input type="password" autocomplete="current-password" value=${token} autofocus required
          onInput=${(/** @type {Event} */ event) => setToken(/** @type {HTMLInputElement} */ (event.target).value)} />
      </label>
      <${Problem} error=${error} />
      <button class="primary" disabled=${busy || !token}>Log in</button>
      <p class="quiet small">The browser keeps a cookie that opens the API of this daemon for twelve hours, and not the token.</p>
    </form>
  </main>`;
}
