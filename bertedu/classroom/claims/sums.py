"""Sums in a text: found, and worked out again."""

import ast
import math
import operator
import re
from collections.abc import Callable
from itertools import pairwise

from bertedu.classroom.claims.number import numbers

EXPRESSION = re.compile(
    r"(?:[-−√(]|\b(?:log|ln)\s|\d)(?:[\d\s.,+\-−·×/()^√=≈⁰¹²³⁴⁵⁶⁷⁸⁹]|\b(?:log|ln)\b)*"
    r"[\d)⁰¹²³⁴⁵⁶⁷⁸⁹]"
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def balanced(expression: str) -> str:
    """Returns an expression without the brackets and the stops of the sentence around it."""
    text = expression.strip(" .,")
    while text.count("(") > text.count(")") and text.startswith("("):
        text = text[1:].strip(" .,")
    while text.count(")") > text.count("(") and text.endswith(")"):
        text = text[:-1].strip(" .,")
    return text


_OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow, ast.USub: operator.neg,
}  # fmt: skip


def holds(expression: str) -> bool:
    """Whether a text's equation is right, to the digits of its parts.

    Args:
        expression: sums with = or ≈ between them.

    Example:
        >>> holds("20/(36 × 20) = 1/36"), holds("2 · 384 + 2 = 771"), holds("2 · 384")
        (True, False, False)
    """
    parts = re.split(r"[=≈]", expression)
    if len(parts) < 2:
        return False
    values = [value for part in parts if (value := value_of(part)) is not None]
    if len(values) < len(parts):
        return False
    widths = [_width(part) for part in parts]
    pairs = pairwise(zip(values, widths, strict=True))
    return all(abs(a - b) <= one + other + 1e-9 * abs(a) for (a, one), (b, other) in pairs)


def _width(part: str) -> float:
    """How far a part may be from what it stands for: half a unit of each rounded number in it."""
    if re.search(r"[·×/^√]|log|ln", part):
        return 0
    written = numbers(part)
    rounded = [number.digits for number in written if number.digits or len(written) == 1]
    return sum(0.5000001 * 10.0**-digits for digits in rounded)


def value_of(part: str) -> float | None:
    """Returns what a sum comes to; None for what is no sum.

    Example:
        >>> value_of("2 · 384 + 2"), value_of("2 · H")
        (770.0, None)
    """
    text = re.sub(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: "**" + m[1].translate(_RAISED), part)
    text = text.replace(",", "").replace("·", "*").replace("×", "*").replace("−", "-")
    text = text.replace("^", "**")
    text = re.sub(r"(?<=[\d)])\s+(?=log|ln)", " * ", text)
    text = re.sub(r"\b(log|ln)\s*([\d.]+(?:\s*/\s*[\d.]+)?)", r"log(\2)", text)
    text = re.sub(r"√\s*([\d.]+)", r"sqrt(\1)", text)
    try:
        return _worked_out(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError):
        return None


def _worked_out(node: ast.AST) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_worked_out(node.left), _worked_out(node.right))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_worked_out(node.operand))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return {"log": math.log, "ln": math.log, "sqrt": math.sqrt}[node.func.id](
            _worked_out(node.args[0])
        )
    raise ValueError("no sum")
