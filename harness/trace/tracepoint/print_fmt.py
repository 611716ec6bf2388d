"""Evaluates the arguments of a tracepoint's `print fmt`, to print a field as `perf script` does.

Understands what the kernel's scheduler events use: C integer expressions over `REC->field`, the conditional operator,
string literals and `__print_flags`. Anything else raises `Unprintable`. The grammar is small enough to parse by
precedence climbing (Pratt, "Top down operator precedence", 1973).
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
_MAX_LENGTH = 20_000  # characters of a print fmt; the kernel's own are under 2,000
_MAX_DEPTH = 60
_LITERAL = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")  # ASCII only: str.isdigit would accept a superscript one


class Unprintable(ValueError):
    """The print format uses something this evaluator does not know."""


def arguments(print_fmt: str) -> list[Expression]:
    """Return the arguments after the format string, in order. Raises Unprintable."""
    parser = _Parser(print_fmt)
    parser.text()
    expressions = []
    while parser.accept(","):
        expressions.append(parser.expression())
    if parser.token is not None:
        raise Unprintable(f"unexpected {parser.token!r}")
    return expressions


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokenize(text)
        self.index, self.depth = 0, 0

    @property
    def token(self) -> str | None:
        """The next token; None at the end."""
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def accept(self, token: str) -> bool:
        if self.token != token:
            return False
        self.index += 1
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise Unprintable(f"{token!r} expected, {self.token!r} found")

    def next(self) -> str:
        token = self.token
        if token is None:
            raise Unprintable("the print format ends early")
        self.index += 1
        return token

    def text(self) -> str:
        token = self.next()
        if not token.startswith('"'):
            raise Unprintable(f"a string expected, {token!r} found")
        return token[1:-1]

    def expression(self) -> Expression:
        self._descend()
        value = self._conditional(self._binary(1))
        self.depth -= 1
        return value

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Unprintable("the print format is nested too deeply")

    def _conditional(self, test: Expression) -> Expression:
        if not self.accept("?"):
            return test
        if_true = self.expression()
        self.expect(":")
        if_false = self.expression()
        return lambda record: if_true(record) if test(record) else if_false(record)

    def _binary(self, lowest: int) -> Expression:
        """Parse operators whose precedence is `lowest` or higher."""
        left = self._unary()
        while (token := self.token) in _BINARY and _BINARY[token][0] >= lowest:
            self.index += 1
            precedence, operator = _BINARY[token]
            left = _applied(operator, left, self._binary(precedence + 1))
        return left

    def _unary(self) -> Expression:
        if (token := self.token) in _UNARY:
            self.index += 1
            self._descend()
            operand, operator = self._unary(), _UNARY[token]
            self.depth -= 1
            return lambda record: operator(_number(operand(record)))
        return self._primary()

    def _primary(self) -> Expression:
        token = self.next()
        if token == "(":
            inside = self.expression()
            self.expect(")")
            return inside
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

    def _flags(self) -> Expression:
        """Parse `(value, "separator", {mask, "name"}, ...)`, the arguments of `__print_flags`."""
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
    """Print as trace_print_flags_seq does (kernel/trace/trace_output.c)."""
    parts = []
    for mask, name in names:
        if mask and value & mask == mask:
            parts.append(name)
            value &= ~mask
    if value:
        parts.append(f"0x{value & 0xFFFFFFFFFFFFFFFF:x}")
    return separator.join(parts)


def _applied(operator: Callable[[int, int], int], left: Expression, right: Expression) -> Expression:
    return lambda record: operator(_number(left(record)), _number(right(record)))


def _number(value: Value) -> int:
    if isinstance(value, str):
        raise Unprintable("a string where a number is expected")
    return value & 0xFFFFFFFFFFFFFFFF if value > 0xFFFFFFFFFFFFFFFF else value


def _tokenize(text: str) -> list[str]:
    if len(text) > _MAX_LENGTH:
        raise Unprintable("the print format is too long")
    tokens, index, text = [], 0, text.strip()
    while index < len(text):
        token = _TOKEN.match(text, index)
        if not token:
            raise Unprintable(f"cannot read {text[index : index + 20]!r}")
        tokens.append(token["number"] or token[0].strip())
        index = token.end()
    return tokens
