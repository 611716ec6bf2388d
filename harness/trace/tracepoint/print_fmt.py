"""Evaluates the arguments of a tracepoint's `print fmt`, to print a field as `perf script` does.

Only what the kernel's scheduler events use is understood: C integer expressions over `REC->field`, the conditional
operator, string literals and `__print_flags`. The grammar is small enough to parse by precedence climbing (Pratt,
"Top down operator precedence", 1973). Anything else raises `Unprintable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Value = int | str
Expression = Callable[[Mapping[str, int]], Value]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+)[uUlL]*|(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<name>\w+)"
    r"|(?P<sign>->|<<|>>|<=|>=|==|!=|&&|\|\||[-+~!*&|^()?:,{}<>]))"
)
_BINARY: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "||": (1, lambda a, b: int(bool(a) or bool(b))),
    "&&": (2, lambda a, b: int(bool(a) and bool(b))),
    "|": (3, lambda a, b: a | b),
    "^": (4, lambda a, b: a ^ b),
    "&": (5, lambda a, b: a & b),
    "==": (6, lambda a, b: int(a == b)),
    "!=": (6, lambda a, b: int(a != b)),
    "<": (7, lambda a, b: int(a < b)),
    ">": (7, lambda a, b: int(a > b)),
    "<=": (7, lambda a, b: int(a <= b)),
    ">=": (7, lambda a, b: int(a >= b)),
    "<<": (8, lambda a, b: a << b if 0 <= b < 64 else 0),
    ">>": (8, lambda a, b: a >> b if 0 <= b < 64 else 0),
    "+": (9, lambda a, b: a + b),
    "-": (9, lambda a, b: a - b),
    "*": (10, lambda a, b: a * b),
}
_UNARY: dict[str, Callable[[int], int]] = {"-": lambda a: -a, "~": lambda a: ~a, "!": lambda a: int(not a)}
_LIMIT = 20_000  # characters of a print fmt; the kernel's own are under 2,000
_DEPTH = 60


_LITERAL = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")  # of ASCII alone: Python calls a superscript one a digit, too


class Unprintable(ValueError):
    """The print format uses something this evaluator does not know."""


def arguments(print_fmt: str) -> list[Expression]:
    """The arguments after the format string, in order. Raises Unprintable."""
    parser = _Parser(print_fmt)
    parser.text()
    expressions = []
    while parser.accept(","):
        expressions.append(parser.expression())
    if parser.here is not None:
        raise Unprintable(f"unexpected {parser.here!r}")
    return expressions


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at, self.depth = 0, 0

    @property
    def here(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def accept(self, token: str) -> bool:
        if self.here != token:
            return False
        self.at += 1
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise Unprintable(f"{token!r} expected, {self.here!r} found")

    def next(self) -> str:
        token = self.here
        if token is None:
            raise Unprintable("the print format ends early")
        self.at += 1
        return token

    def text(self) -> str:
        token = self.next()
        if not token.startswith('"'):
            raise Unprintable(f"a string expected, {token!r} found")
        return token[1:-1]

    def expression(self) -> Expression:
        self.depth += 1
        if self.depth > _DEPTH:
            raise Unprintable("the print format is nested too deeply")
        value = self._conditional(self._binary(1))
        self.depth -= 1
        return value

    def _conditional(self, test: Expression) -> Expression:
        if not self.accept("?"):
            return test
        yes = self.expression()
        self.expect(":")
        no = self.expression()
        return lambda record: yes(record) if test(record) else no(record)

    def _binary(self, least: int) -> Expression:
        left = self._unary()
        while (token := self.here) in _BINARY and _BINARY[token][0] >= least:
            self.at += 1
            power, apply = _BINARY[token]
            left = _apply(apply, left, self._binary(power + 1))
        return left

    def _unary(self) -> Expression:
        if (token := self.here) in _UNARY:
            self.at += 1
            self.depth += 1
            if self.depth > _DEPTH:
                raise Unprintable("the print format is nested too deeply")
            operand, apply = self._unary(), _UNARY[token]
            self.depth -= 1
            return lambda record: apply(_number(operand(record)))
        return self._primary()

    def _primary(self) -> Expression:
        token = self.next()
        if token == "(":
            return self._parenthesis()
        if token == "REC":
            self.expect("->")
            name = self.next()
            return lambda record: record[name]
        if token == "__print_flags":
            return self._flags()
        if token.startswith('"'):
            return lambda record: token[1:-1]
        if _LITERAL.fullmatch(token):
            number = int(token, 16 if token[:2].lower() == "0x" else 10)
            return lambda record: number
        raise Unprintable(f"unknown word {token!r}")

    def _parenthesis(self) -> Expression:
        inside = self.expression()
        self.expect(")")
        return inside

    def _flags(self) -> Expression:
        """`__print_flags(value, "separator", {mask, "name"}, ...)`: the kernel's trace_print_flags_seq."""
        self.expect("(")
        value = self.expression()
        self.expect(",")
        separator, names = self.text(), []
        while self.accept(","):
            self.expect("{")
            mask = _number(self.expression()({}))
            self.expect(",")
            names.append((mask, self.text()))
            self.expect("}")
        self.expect(")")
        return lambda record: _print_flags(_number(value(record)), separator, names)


def _print_flags(value: int, separator: str, names: list[tuple[int, str]]) -> str:
    parts = []
    for mask, name in names:
        if mask and value & mask == mask:
            parts.append(name)
            value &= ~mask
    if value:
        parts.append(f"0x{value & 0xFFFFFFFFFFFFFFFF:x}")
    return separator.join(parts)


def _apply(apply: Callable[[int, int], int], left: Expression, right: Expression) -> Expression:
    return lambda record: apply(_number(left(record)), _number(right(record)))


def _number(value: Value) -> int:
    if isinstance(value, str):
        raise Unprintable("a string where a number is expected")
    return value & 0xFFFFFFFFFFFFFFFF if value > 0xFFFFFFFFFFFFFFFF else value


def _tokens(text: str) -> list[str]:
    if len(text) > _LIMIT:
        raise Unprintable("the print format is too long")
    tokens, at, text = [], 0, text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise Unprintable(f"cannot read {text[at : at + 20]!r}")
        tokens.append(found["number"] or found[0].strip())
        at = found.end()
    return tokens
