"""The shell of every page: templates, escaped texts, and the content security policy of a file that needs no other."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from harness.report import figures, text
from harness.report.exact import exact
from harness.visible import visible_lines

PACKAGE = "harness.report"  # its folder `templates` has what the pages share


def environment(*packages: str) -> Environment:
    """Return Jinja2 with the templates of `packages`, searched in this order, and then those of the run report."""
    made = Environment(
        loader=FunctionLoader(lambda name: _found(name, (*packages, PACKAGE))),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_finalize,
    )
    made.globals.update(figures=figures, text=text, exact=exact)
    return made


def asset(name: str, package: str = PACKAGE) -> str:
    """Return the text of a file among the templates of a package."""
    return (files(package) / "templates" / name).read_text("utf-8")


def policy(style: str, scripts: Iterable[str]) -> str:
    """Return a content security policy that allows only the page's own style and scripts, and no request."""
    allowed = " ".join(_source(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_in_script(value: Any) -> Markup:
    """Return JSON that cannot end the script element around it: ASCII, with `<`, `>` and `&` as escapes."""
    encoded = json_text(value)
    for character in "<>&":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return Markup(encoded)


def json_text(value: Any) -> str:
    """Return JSON as text for an attribute, which the template escapes."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def _finalize(value: Any) -> Any:
    """Make hidden characters visible in every text that reaches the page."""
    return visible_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _source(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _found(name: str, packages: Sequence[str]) -> str | None:
    """Return the text of a template; None for one that there is not, which may be an optional part."""
    for package in packages:
        if (files(package) / "templates" / name).is_file():
            return asset(name, package)
    return None
