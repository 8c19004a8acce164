"""The reference page of the management API, made from its description.

    python -m perdure.http.management.reference > docs/reference/api.md

The rule: the page says the same as `/api/v1/openapi.json`. A test holds that the page in `docs/reference/` is up to
date.
"""

import textwrap
from collections.abc import Iterable
from typing import Any

from .app import ENDPOINTS
from .openapi import GROUPS, management_document

Json = dict[str, Any]

WIDTH = 100

HEAD = """# Management API

A daemon (`perdure run`, `perdure daprd`) serves this API on its HTTP port, under `/api/v1`. The
same description is at `/docs` of each daemon, and as OpenAPI 3.1 at `/api/v1/openapi.json`.

* **Token.** If the daemon requires one: `dapr-api-token: TOKEN`, or `Authorization: Bearer TOKEN`.
* **Times** are RFC 3339 in UTC, with six fractional digits. **Lengths of time** are `90s`, `15m`,
  `2h`, `7d`; a bare number is seconds.
* **Ids** may be any text. Percent-encode them in paths.
* **Errors** are `{"errorCode", "message"}`, and the message says what to do. Where that is a
  parameter or another route, `advice` names it in one word, such as `start_anew`, and `problem` is
  the message without it, so that a program can say it in its own words. The errors of each route
  are below. Any route may answer 400 to a path or a query that it does not understand, 401
  without a token, 405 with `Allow` to another method, and 429 or 503 with `Retry-After` when it
  cannot answer now.
* The **Content-Type** of a request is ignored.

This page is made from the description:
`python -m perdure.http.management.reference > docs/reference/api.md`.
"""

# Errors that HEAD describes once for all routes.
USUAL = frozenset(
    {
        *("ERR_QUERY_INVALID", "ERR_MALFORMED_REQUEST", "ERR_DIRECT_INVOKE", "ERR_MAILBOX_FULL", "ERR_HOST_STOPPING"),
        *("ERR_HOST_UNREACHABLE", "ERR_HOST_SILENT", "ERR_STORE_FAILED", "ERR_HOST_LOST", "ERR_HOST_NOT_RUNNING"),
        "ERR_STORE_UNCERTAIN",
        *("ERR_TOKEN_REQUIRED", "ERR_TOKEN_UNKNOWN", "ERR_HEADER_INVALID", "ERR_BODY_READ"),
    }
)


def reference() -> str:
    """Make the page."""
    document = management_document(ENDPOINTS, version="", secured=False)
    operations: dict[str, list[tuple[str, str, Json]]] = {group: [] for group in GROUPS}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations[operation["tags"][0]].append((path, method, operation))
    parts = [HEAD]
    for group, summary in GROUPS.items():
        parts.append(f"## {group.capitalize()}\n\n{summary}.\n")
        parts += [described(document, *each) for each in operations[group]]
    parts.append("## Values\n\nThe objects that are sent and answered. A field that may be absent has a `?`.\n")
    parts += [schema_section(name, schema) for name, schema in document["components"]["schemas"].items()]
    return "\n".join(parts)


def described(document: Json, path: str, method: str, operation: Json) -> str:
    """Describe a route."""
    lines = [f"### `{method.upper()} {path}`", "", *wrapped(f"{operation['summary']}.")]
    if text := operation.get("description"):
        lines += ["", *wrapped(text)]
    parameters = [each for each in operation.get("parameters", []) if each["in"] != "path"]
    if parameters:
        lines += ["", *(line for each in parameters for line in parameter(each))]
    if body := operation.get("requestBody"):
        schema = next(iter(body["content"].values()))["schema"]
        lines += ["", *wrapped(f"Body: {body.get('description') or type_of(schema)}")]
    lines += ["", *answers(operation["responses"])]
    return "\n".join([*lines, ""])


def parameter(each: Json) -> list[str]:
    """Describe a parameter of the query, or a header."""
    name = each["name"] + (": header" if each["in"] == "header" else "")
    text = each.get("description", "")
    return wrapped(f"* `{name}` ({type_of(each['schema'])}): {text}", indent="  ")


def answers(responses: Json) -> Iterable[str]:
    """Describe the answers of a route: success, and its own errors."""
    errors: list[str] = []
    for status, response in responses.items():
        if int(status) >= 400:
            own = [code for code in response["description"].split(", ") if code not in USUAL]
            errors += [f"{status} `{code}`" for code in own]
            continue
        content = response.get("content", {})
        kinds = [type_of(each["schema"]) if media == "application/json" else media for media, each in content.items()]
        of = f" ({', '.join(kinds)})" if kinds else ""
        yield from wrapped(f"* **{status}**{of}: {response['description']}.", indent="  ")
    if errors:
        yield from wrapped(f"* Errors: {', '.join(errors)}.", indent="  ")


def schema_section(name: str, schema: Json) -> str:
    """Describe an object."""
    lines = [f"### {name}", ""]
    if text := schema.get("description"):
        lines += [*wrapped(text), ""]
    required = schema.get("required", ())
    for field, each in schema.get("properties", {}).items():
        mark = "" if field in required else "?"
        text = each.get("description", "")
        lines += wrapped(f"* `{field}`{mark} ({type_of(each)}){': ' + text if text else ''}", indent="  ")
    return "\n".join([*lines, ""])


def type_of(schema: Json) -> str:
    """Describe in a few words the values that a schema allows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(type_of(option) for option in options)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {type_of(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {type_of(schema['additionalProperties'])}"
    bounds = [f"{word} {schema[key]}" for word, key in (("from", "minimum"), ("to", "maximum")) if key in schema]
    return " ".join([str(schema.get("format", kind or "any JSON")), *bounds])


def wrapped(text: str, *, indent: str = "") -> list[str]:
    """Break a paragraph into lines, but not within a link or code."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(reference(), end="")
