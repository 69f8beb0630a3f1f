"""The course's own answers to its exercises: the solutions, and what its lessons define."""

import argparse
import ast
import contextlib
import math
import re
from collections import Counter
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

import bertedu
from bertedu.classroom import checks
from bertedu.classroom.checks.framework import Check

COURSE = Path(__file__).parents[1] / "course"
CHECKS = checks.every_check()


@cache
def course_functions(lesson: str) -> dict:
    """The functions that a lesson defines, with what they need from its other cells."""
    (source,) = COURSE.glob(f"{lesson}_*.py")
    tree = ast.parse(source.read_text("utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    tree.body += ast.parse("\n".join(solved_values(source.read_text("utf-8")))).body
    names = {
        "torch": torch, "np": np, "math": math, "Counter": Counter, "pairwise": pairwise,
        "Fraction": Fraction, "H": 384, "NOT_CHOSEN": 0, "IS_NEXT": 0, "NOT_NEXT": 1,
        "bertedu": bertedu, "argparse": argparse,
        "nn": torch.nn, "F": torch.nn.functional,
        "vocabulary": bertedu.load_tokenizer().vocab,
        "bert": bertedu.load_tokenizer(),  # its `encode` is all that an exercise needs
    }  # fmt: skip
    for node in tree.body:
        # A default argument may be of another cell; an exercise that needs it fails by its name.
        with contextlib.suppress(NameError):
            exec(compile(ast.Module([node], []), str(source), "exec"), names)  # our own file
    return names


def solved_values(source: str) -> list[str]:
    """The solutions that assign what a check is then given: predictions, which are values."""
    given = set(
        re.findall(r"\w+", " ".join(re.findall(r"^checks\.\w+\((.*)\)$", source, re.MULTILINE)))
    )
    blocks = re.findall(
        r"^# BEGIN SOLUTION\n(.*?)^# END SOLUTION", source, re.DOTALL | re.MULTILINE
    )
    return [block for block in blocks if given & set(re.findall(r"\w+", block.partition("=")[0]))]


def calls(name: str) -> list[tuple[str, str]]:
    """(lesson, argument) of each call of a check in the course."""
    pattern = re.compile(rf"^checks\.{name}\((.*)\)$", re.MULTILINE)
    sources = sorted(COURSE.glob("[0-9][0-9]_*.py"))
    return [(s.name[:2], call) for s in sources for call in pattern.findall(s.read_text("utf-8"))]


def solution(check: Check):
    """The course's own solution of an exercise: what stands in the brackets of its check."""
    found = calls(check.name)
    assert [lesson for lesson, _ in found] == [check.lesson], "one call, in its own lesson"
    [(lesson, argument)] = found
    return eval(argument, course_functions(lesson))  # our own file
