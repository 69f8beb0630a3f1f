"""docs/architecture.md is true: its floors, the ways through them, and the files it names."""

import ast
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType

import pytest

import bertedu
from bertedu.commands import cli
from tests.conftest import REPO_ROOT
from tests.finetuned_models import SIZES

PACKAGE = REPO_ROOT / "bertedu"
PAGE = (REPO_ROOT / "docs" / "architecture.md").read_text("utf-8")
MOST_AT_THE_TOP = 10  # modules of the textbook

Imports = dict[str, set[str]]


def modules(package: Path) -> dict[str, Path]:
    """Returns the dotted name of each module, and of each package, with its file."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imports(package: Path) -> Imports:
    """Returns what each module imports of its own package, wherever in the file it does so."""
    files = modules(package)
    return {name: set(imported(path, package.name, files)) for name, path in files.items()}


def imported(path: Path, package: str, known: dict[str, Path]) -> list[str]:
    found = []
    nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if name in known else str(node.module) for name in names]
    return [name for name in found if name.partition(".")[0] == package]


@cache
def floors() -> list[list[str]]:
    """Returns the drawing's floors from the top, each a package or a row of modules."""
    rows = re.findall(r"^│ (.*?) *│$", PAGE, re.MULTILINE)
    words = [re.split(r" {2,}", row) for row in rows]
    return [row[:1] if (PACKAGE / row[0]).is_dir() else row for row in words]


def heights(plan: list[list[str]]) -> dict[str, int]:
    """Returns how high each name of the drawing stands; the first is the highest."""
    names = [name for floor in plan for name in floor]
    return {name: -place for place, name in enumerate(names)}


def uphill(graph: Imports, height: dict[str, int]) -> set[tuple[str, str]]:
    """Returns the imports that lead to a higher floor, or through the door."""

    def floor(module: str) -> int:
        return height[module.split(".")[1]] if "." in module else 1

    return {
        (module, target)
        for module, targets in graph.items()
        for target in targets
        if "." in module and floor(target) > floor(module)
    }


def circles(graph: Imports) -> set[frozenset[str]]:
    """Returns the largest groups of modules that import each other, round some circle."""
    reach = {module: set(targets) & set(graph) for module, targets in graph.items()}
    for middle in graph:  # Warshall's: what `middle` reaches, whoever reaches `middle` reaches
        for targets in reach.values():
            if middle in targets:
                targets.update(reach[middle])
    groups = {
        frozenset(other for other in reach[module] if module in reach[other]) for module in reach
    }
    return groups - {frozenset()}


def test_every_module_and_package_has_its_floor() -> None:
    here = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    here |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(heights(floors())) == here
    assert len([path for path in PACKAGE.glob("*.py") if path.stem != "__init__"]) <= (
        MOST_AT_THE_TOP
    )


def test_imports_go_down_the_floors_of_the_drawing() -> None:
    assert uphill(imports(PACKAGE), heights(floors())) == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(imports(PACKAGE)) == set()


def test_an_import_uphill_and_a_circle_would_be_found(tmp_path: Path) -> None:
    house = tmp_path / "house"
    for file, text in {
        "__init__.py": "",
        "roof/__init__.py": "",
        "roof/a.py": "from house.roof import b\nfrom house import cellar",
        "roof/b.py": "def f():\n    from house.roof.a import g",
        "cellar.py": "if TYPE_CHECKING:\n    import house.roof.b\nelse:\n    import house.roof.a",
    }.items():
        (house / file).parent.mkdir(parents=True, exist_ok=True)
        (house / file).write_text(text)
    graph = imports(house)
    height = heights([["roof"], ["cellar"]])
    assert uphill(graph, height) == {("house.cellar", "house.roof.a")}
    assert circles(graph) == {frozenset({"house.cellar", "house.roof.a", "house.roof.b"})}
    (house / "cellar.py").write_text("import house")
    assert uphill(imports(house), height) == {("house.cellar", "house")}
    assert circles(imports(house)) == {frozenset({"house.roof.a", "house.roof.b"})}


def test_every_package_says_what_it_is_for_and_what_is_in_it() -> None:
    for init in PACKAGE.rglob("__init__.py"):
        says = ast.get_docstring(ast.parse(init.read_text("utf-8"))) or ""
        assert says.partition("\n")[0].endswith("."), init


@pytest.mark.parametrize(
    "package", ["classroom", "commands", "finetuning", "pretraining", "training", "utils"]
)
def test_a_package_names_each_of_its_modules(package: str) -> None:
    init = PACKAGE / package / "__init__.py"
    says = ast.get_docstring(ast.parse(init.read_text("utf-8"))) or ""
    inside = {path.stem for path in init.parent.glob("*.py")} - {"__init__"}
    inside |= {path.parent.name for path in init.parent.glob("*/__init__.py")}
    assert [name for name in sorted(inside) if f"`{name}`" not in says] == []


def test_every_file_that_the_page_names_exists() -> None:
    named = re.findall(r"`([\w/]+(?:\.\w+|/))`", PAGE)
    assert len(named) > 15
    assert [f for f in named if not ((PACKAGE / f).exists() or (REPO_ROOT / f).exists())] == []


# ---------------------------------------------------------------- the ways through the house


def passed(action: Callable[[], object]) -> list[str]:
    """Returns the modules whose functions are called, each where it is met first."""
    met: dict[str, None] = {}
    ours = f"{PACKAGE}{os.sep}"

    def look(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ours) and code.co_name != "<module>":
            met[code.co_filename] = None

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        action()
    finally:
        sys.setprofile(before)
    names = [Path(file).relative_to(PACKAGE).with_suffix("").as_posix() for file in met]
    return [name for name in names if not name.endswith("__init__")]


def stations(way: str) -> list[str]:
    """Returns the modules that the page names on a way, in order."""
    text = PAGE[PAGE.index(f"**{way}**") :].partition("\n\n")[0]
    chains = re.findall(r"`[\w/]+`(?:\s→\s`[\w/]+`)+", text)
    return [name for chain in chains for name in re.findall(r"`([\w/]+)`", chain)]


def in_order(some: list[str], all_of_them: list[str]) -> bool:
    rest = iter(all_of_them)
    return all(name in rest for name in some)


def test_a_sentence_passes_the_stations_of_the_page() -> None:
    way = passed(lambda: bertedu.load().fill_mask("my dog is [MASK]"))
    assert len(stations("A sentence")) > 4
    assert in_order(stations("A sentence"), way), way
    assert len(way) <= 10, way


def test_a_training_file_passes_the_stations_of_the_page(tmp_path: Path, capsys) -> None:
    small, file = tmp_path / "small", tmp_path / "reviews.tsv"
    config = bertedu.BertConfig(**SIZES)
    model = bertedu.BertForPreTraining(config)
    bertedu.save_pretrained(model, small, bertedu.load_tokenizer())
    rows = (f"{'good' if n % 2 else 'bad'} {n}\t{n % 2}" for n in range(20))
    file.write_text("sentence\tlabel\n" + "\n".join(rows))
    words = ["finetune", "classification", str(file), "--out", str(tmp_path / "model")]
    words += ["--init", str(small), "--epochs", "1", "--batch-size", "20", "--max-length", "16"]
    import_module(cli.COMMANDS["finetune"][1])  # what importing it calls is no station
    way = passed(lambda: cli.main(words))
    assert "saved in" in capsys.readouterr().out
    assert len(stations("A training file")) > 6
    assert in_order(stations("A training file"), way), way
    assert len(way) <= 22, way  # 10 is the aim


def test_a_keystroke_passes_the_stations_of_the_page() -> None:
    from bertedu.widgets import AttentionExplorer

    widget = AttentionExplorer("my dog")
    way = passed(lambda: widget.set_trait("text", "he likes playing"))
    assert len(stations("A keystroke")) > 4
    assert in_order(stations("A keystroke"), way), way


@pytest.mark.parametrize("order", [["b", "a"], ["a", "c", "b"]])
def test_another_order_would_be_found(order: list[str]) -> None:
    assert not in_order(order, ["a", "b", "c"])
