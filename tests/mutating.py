"""Small faults: copies of a source file with one operator, comparison, constant or statement changed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, how it reads, and the whole file with it."""

    package: str
    path: str  # from the root
    line: int
    function: int  # the first line of the innermost function that it lies in; 0 outside
    change: str  # `before -> after`
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"

    @property
    def key(self) -> str:
        """Its name in mutants.txt, which another line in front of it does not change."""
        return f"{self.path}: {self.change}"


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """The wrong versions of a node, each a copy."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            yield ast.Compare(node.left, [SWAPS[type(op)]()], node.comparators)
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign() if type(node.op) in SWAPS and not of_texts(node):
            new = copy.copy(node)
            new.op = SWAPS[type(node.op)]()
            yield new
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value + 1 if node.value + 1 != node.value else 2 * node.value)
        case ast.If() | ast.IfExp():
            new = copy.copy(node)
            new.test = ast.UnaryOp(ast.Not(), node.test)
            yield new
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()


def of_texts(node: ast.AST) -> bool:
    """Whether a text or a path is put together here: no other operator can do that, so any test would notice."""
    return any(
        isinstance(part, ast.JoinedStr | ast.Constant) and not isinstance(getattr(part, "value", ""), int | float)
        for part in ast.iter_child_nodes(node)
    )


def ignored(node: ast.AST) -> Iterator[ast.AST]:
    """What of a node is not executed, or only said: annotations, sentences."""
    match node:
        case ast.AnnAssign():
            yield node.annotation
        case ast.FunctionDef():
            yield from filter(None, [node.returns, *(a.annotation for a in [*node.args.args, *node.args.kwonlyargs])])
        case ast.Raise() | ast.JoinedStr() | ast.keyword(arg="strict"):  # that two lists are of one length
            yield node
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            yield node


def mutants(path: Path, package: str) -> Iterator[Mutant]:
    """Every mutant of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {id(inner) for node in ast.walk(tree) for part in ignored(node) for inner in ast.walk(part)}
    functions = dict(innermost(tree))
    for parent in ast.walk(tree):
        if id(parent) in skipped:
            continue
        for field, value in ast.iter_fields(parent):
            places = enumerate(value) if isinstance(value, list) else [(None, value)]
            for index, node in list(places):
                if not isinstance(node, ast.AST) or id(node) in skipped:
                    continue
                for wrong in changed(node):
                    seen = parent if isinstance(node, ast.Constant) and isinstance(parent, ast.expr) else None
                    before = shown(seen or node)
                    put(parent, field, index, wrong)
                    after = shown(seen or wrong)
                    source = ast.unparse(ast.fix_missing_locations(tree))
                    put(parent, field, index, node)
                    where = str(path.relative_to(ROOT)), node.lineno, functions.get(id(node), 0)
                    yield Mutant(package, *where, f"{before} -> {after}", source)


def innermost(node: ast.AST, function: int = 0) -> Iterator[tuple[int, int]]:
    """(id of a node, first line of the function that it lies in), as Python's code objects count it."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = min(part.lineno for part in (node, *node.decorator_list))
    yield id(node), function
    for child in ast.iter_child_nodes(node):
        yield from innermost(child, function)


def put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    """Set a child of `parent`."""
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def shown(node: ast.AST) -> str:
    """The first line of a node as source."""
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0]
