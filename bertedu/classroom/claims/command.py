"""`bertedu claims`: says which number of the built lessons has no cell and no source."""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from bertedu.classroom.claims import Claim, claims
from bertedu.classroom.claims.cells import code_cells
from bertedu.classroom.editions import add_root, editions, unexecuted, with_outputs
from bertedu.errors import InputError


def built(
    root: Path, names: Sequence[str] | None = None, *, solved: bool = True
) -> dict[str, list[Claim]]:
    """Returns the claims of the built notebooks, by lesson.

    Args:
        root: the folder of course/ and notebooks/.
        names: as `editions` takes them; None for all.
        solved: whether in the edition with the solutions.

    Raises:
        InputError: a notebook that is not built.
    """
    chosen = [edition for edition in editions(root, list(names or [])) if edition.solved == solved]
    notebooks, others = {}, {}
    for edition in editions(root):
        if edition.solved != solved:
            continue
        if not edition.path.exists():
            raise InputError(f"{edition.path} is not built: run bertedu notebooks")
        notebook = with_outputs(unexecuted(edition), edition.path)
        notebooks[edition] = notebook
        others[edition.source.stem[:2]] = code_cells(edition, notebook)
    return {
        edition.source.stem: [
            claim for cell in claims(edition, notebooks[edition], others) for claim in cell
        ]
        for edition in chosen
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `bertedu claims`.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument("names", nargs="*", metavar="NAME", help="lessons, by name or number")
    parser.add_argument("--all", action="store_true", help="list every number, not only findings")
    parser.add_argument("--students", action="store_true", help="look at the students' edition")
    add_root(parser)


def run(args: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Returns 0 when each number has a cell or a source, else 1.

    Args:
        args: as `add_arguments` describes them.
        say: receives each line.

    Raises:
        InputError: no course/ here, a name that fits no lesson, a notebook that is not built.
    """
    root: Path = args.root.resolve()
    if not (root / "course").is_dir():
        raise InputError(f"no course/ in {root}: run this in the repository, or give --root")
    ledger = built(root, args.names, solved=not args.students)
    open_ones = 0
    for lesson, found in ledger.items():
        kinds = Counter(claim.kind or "FINDING" for claim in found)
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        say(f"{lesson}: {len(found)} numbers: {told}")
        for claim in found:
            if args.all or not claim.kind:
                where = f"cell {claim.cell.place}" if claim.cell else ""
                proof = claim.reason or f"{where} {claim.line}".strip()
                say(f"  {claim.kind or 'FINDING'} | {claim.number} | {claim.sentence} | {proof}")
        open_ones += kinds["FINDING"]
    say(f"{sum(map(len, ledger.values()))} numbers, {open_ones} without a cell or a source")
    return 1 if open_ones else 0
