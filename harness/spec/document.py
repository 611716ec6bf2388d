"""YAML text -> plain values, each with its `file:line:column` for error messages.

It knows nothing of experiments: read a file with `read_text`, parse it with `parse`, validate `Document.data` with any
pydantic model, and turn the problems into one error with `harness.spec.problems`.

Only a plain part of YAML 1.2 is accepted: mappings with text keys, lists, text, numbers, true/false and null. Tags,
anchors, aliases and merge keys are refused, because people read these files and programs compare them.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from harness.errors import SpecError
from harness.files import open_regular

Keys = tuple[str | int, ...]

MAX_BYTES = 100_000  # fifty times what an experiment has
MAX_DEPTH = 50
NULL = "null"  # a key may have this name: `compare: {null: true}`
MAX_DIGITS = 300  # a longer number is a mistake, and slow to convert

_INTEGER = re.compile(r"[-+]?(0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+|[0-9]+)")
_TAG = "tag:yaml.org,2002:"
_NOT_YAML = (YAMLError, ValueError, LookupError, AttributeError, TypeError, AssertionError, NotImplementedError)


@dataclass
class Document:
    """The values of one file, and for each path of keys the positions (`file:line:column`) of its key and its value."""

    name: str
    data: dict[str, Any]
    keys: dict[Keys, str] = field(default_factory=dict)
    values: dict[Keys, str] = field(default_factory=dict)

    def position(self, path: Keys, *, key: bool = False) -> str:
        """Return the position of the value (or key) at `path`, or of the enclosing section if it is not in the file."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, self.name)

    def set_position(self, path: Keys, where: str) -> None:
        """Set the position (such as `--set a.b=1`) of `path` and of all paths below it."""
        for positions in (self.keys, self.values):
            for known in [known for known in positions if known[: len(path)] == path]:
                del positions[known]
            positions[path] = where


def read_text(path: Path) -> str:
    """Read a YAML file. Raises SpecError when it is missing, no file, too large or not UTF-8 text."""
    return decode(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Read a file, and of a too large one enough to tell. Raises SpecError when it is missing or no file."""
    where = str(path)
    try:
        with open_regular(path) as source:
            return bytes(source.read(MAX_BYTES + 1))
    except IsADirectoryError:
        raise SpecError("this is a directory", where=where, expected="an experiment file in YAML") from None
    except FileNotFoundError:
        hint = "give the path of a YAML file, such as experiments/nginx_ab.yaml"
        raise SpecError("there is no such file", where=where, hint=hint) from None
    except (OSError, ValueError) as error:
        raise SpecError(f"the file cannot be read: {_reason(error)}", where=where) from None


def decode(raw: bytes, where: str) -> str:
    """Decode the bytes of a file, or of stdin. Raises SpecError when they are too many or not UTF-8 text."""
    if len(raw) > MAX_BYTES:
        raise SpecError("this file is too large", where=where, expected=f"at most {MAX_BYTES} bytes of YAML")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8 text"
        raise SpecError(what, where=f"{where}:{line}:{column}", hint="save the file as UTF-8") from None


def parse(text: str, name: str, keys: str = "name, machine, load, ...") -> Document:
    """Parse one YAML document whose top level is a mapping; `name` begins each position. Raises SpecError.

    `keys` says in an error which keys the mapping should have.
    """
    node = _compose(text, name)
    if node is None:
        raise SpecError("the file is empty", where=f"{name}:1:1", expected=f"a mapping with {keys}")
    reader = _Reader(name)
    data = reader.value(node, ())
    if not isinstance(data, dict):
        what = f"the file holds {kind_of(data)}"
        raise SpecError(what, where=reader.position(node), expected=f"a mapping with {keys}")
    return Document(name, data, reader.keys, reader.values)


def to_yaml(values: Mapping[str, Any]) -> str:
    """Return values of JSON types as text that `parse` reads again."""
    stream, writer = io.StringIO(), YAML()
    writer.default_flow_style, writer.width = False, 100
    writer.representer.ignore_aliases = lambda *_: True
    writer.dump(dict(values), stream)
    return stream.getvalue()


def parse_value(text: str, where: str) -> Any:
    """Parse the value of `--set path=TEXT`. Raises SpecError with `where` as its position."""
    if len(text) > MAX_BYTES:
        raise SpecError("this value is too long", where=where, expected=f"at most {MAX_BYTES} letters")
    try:
        node = _compose(text, where)
        return None if node is None else _Reader(where).value(node, ())
    except SpecError as error:
        raise SpecError(error.what, where=where, expected=error.expected, hint=error.hint) from None


def _compose(text: str, name: str) -> Node | None:
    """Parse text into a node tree. The YAML library raises errors of many types on text that is not YAML."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about anchors defined twice; aliases are refused below
            return YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, name) from None
    except ReaderError as error:
        line, column = _line_column(text, error.position)
        what = f"character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise SpecError(what, where=f"{name}:{line}:{column}", hint="remove it") from None
    except RecursionError:
        raise SpecError("the file is nested too deeply", where=name, expected=f"at most {MAX_DEPTH} levels") from None
    except _NOT_YAML as error:
        raise SpecError(f"this is not YAML: {_reason(error)}", where=name) from None


def printable(text: str) -> str:
    """Escape line breaks and control characters, so that a message stays on one line."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def kind_of(value: Any) -> str:
    """Name the kind of a value for a message, such as `a mapping`."""
    kinds = {dict: "a mapping", list: "a list", str: "text", bool: "true/false", int: "a number", float: "a number"}
    return kinds.get(type(value), "nothing")


class _Reader:
    """Turns a node tree into plain values and collects the position of each key and value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[Keys, str] = {}
        self.values: dict[Keys, str] = {}
        self._seen: set[int] = set()

    def position(self, node: Node) -> str:
        mark = node.start_mark
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}"

    def value(self, node: Node, path: Keys) -> Any:
        where = self.position(node)
        if id(node) in self._seen:
            raise SpecError("an alias (*) is used", where=where, expected="plain values", hint="write the value out")
        if len(path) > MAX_DEPTH:
            raise SpecError("the file is nested too deeply", where=where, expected=f"at most {MAX_DEPTH} levels")
        self._seen.add(id(node))
        self.values[path] = where
        tag = str(node.tag)
        if isinstance(node, MappingNode) and tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and tag == _TAG + "seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return _scalar(tag.removeprefix(_TAG), node.value, where)
        raise SpecError(f"the tag {printable(tag)} is not known", where=where, hint="remove the tag")

    def _mapping(self, node: MappingNode, path: Keys) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, where = self._key(key_node), self.position(key_node)
            here = (*path, key)
            if key in result:
                hint = f"keep this one or the one at {self.keys[here]}"
                raise SpecError(f"the key {key!r} appears twice", where=where, hint=hint)
            self.keys[here] = where
            result[key] = self.value(value_node, here)
        return result

    def _key(self, node: Node) -> str:
        tag = str(node.tag)
        if isinstance(node, ScalarNode) and (tag == _TAG + "str" or node.value == NULL):
            return str(_scalar("str", node.value, self.position(node)))
        if isinstance(node, ScalarNode) and tag.startswith(_TAG) and not tag.endswith("merge"):
            what = f"the key {node.value!r} is read by YAML as {tag.removeprefix(_TAG)}, not as text"
            raise SpecError(what, where=self.position(node), expected="a key that is text", hint="put it in quotes")
        raise SpecError("this key is not plain text", where=self.position(node), expected="a key such as `name`")


def _scalar(tag: str, text: str, where: str) -> Any:
    if tag in ("str", "timestamp"):
        return _text(text, where)
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() in ("true", "yes", "on", "y")
    if tag not in ("int", "float"):
        raise SpecError(f"the tag {printable(tag)} is not known", where=where, hint="remove the tag")
    number = _number(tag, text.replace("_", ""))
    if number is None:
        expected = "a finite number such as 5, 1_000_000 or 0.5"
        raise SpecError(f"{text[:40]!r} is not a number", where=where, expected=expected)
    return number


def _text(text: str, where: str) -> str:
    """Return the text if it can be written to files; half of a surrogate pair cannot."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise SpecError("this text holds half a Unicode character (a surrogate)", where=where, expected="valid text")
    return text


def _number(tag: str, text: str) -> int | float | None:
    if len(text) > MAX_DIGITS:
        return None
    if tag == "int":
        if not _INTEGER.fullmatch(text):
            return None
        return int(text, 0) if text.lstrip("+-")[1:2] in ("o", "x", "b") else int(text, 10)
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _syntax_error(error: MarkedYAMLError, name: str) -> SpecError:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    problem = " ".join(str(error.problem or error.context).split())
    if "'\\t'" in problem:
        return SpecError("a tab is used for indentation", where=where, expected="spaces", hint="replace it by spaces")
    context = f" ({' '.join(error.context.split())})" if error.problem and error.context else ""
    return SpecError(f"YAML syntax error: {problem}{context}", where=where)


def _line_column(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _reason(error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())[:200]
