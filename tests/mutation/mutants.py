"""The small changes of the trial: one operator, constant, name or default of a module at a time."""

import ast
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
OPPOSITES = (("min", "max"), ("amin", "amax"), ("argmin", "argmax"), ("minimum", "maximum"))
NAMES = {**dict(OPPOSITES), **{high: low for low, high in OPPOSITES}}


class Mutant(NamedTuple):
    """The bytes ``start`` to ``stop`` of a module replaced by ``text``; ``change`` tells people."""

    line: int
    start: int
    stop: int
    text: str
    change: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.stop :]


class _Finder(ast.NodeVisitor):
    """Collects the places of a module that can be changed, each with its mutants."""

    def __init__(self, source: bytes) -> None:
        self.line_starts = [0]
        for line in source.splitlines(keepends=True):
            self.line_starts.append(self.line_starts[-1] + len(line))
        self.places: list[list[Mutant]] = []

    def _span(self, node: ast.expr | ast.arg) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.line_starts[node.lineno - 1] + node.col_offset,
            self.line_starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _replace(self, node: ast.expr, *others: ast.expr) -> None:
        before, (start, stop) = ast.unparse(node), self._span(node)
        texts = [ast.unparse(other) for other in others]
        self.places.append(
            [Mutant(node.lineno, start, stop, f"({text})", f"{before} -> {text}") for text in texts]
        )

    def _drop_default(
        self, name: ast.expr | ast.arg, until: ast.expr | ast.arg, default: ast.expr
    ) -> None:
        start, stop = self._span(until)[1], self._span(default)[1]
        shown = name.arg if isinstance(name, ast.arg) else ast.unparse(name)
        change = f"{shown} = {ast.unparse(default)} -> {shown}"
        self.places.append([Mutant(default.lineno, start, stop, "", change)])

    # What is left alone: annotations, decorators and messages (formatted text, what is raised);
    # readers and the type checker look after them.

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        del node

    def visit_Raise(self, node: ast.Raise) -> None:
        del node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.visit(node.args)
        for statement in node.body:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg != "strict":  # An assertion, not behaviour.
            self.visit(node.value)

    # What is changed.

    def visit_arguments(self, node: ast.arguments) -> None:
        positional = [*node.posonlyargs, *node.args]
        late = positional[len(positional) - len(node.defaults) :]
        for argument, default in zip(
            [*late, *node.kwonlyargs], [*node.defaults, *node.kw_defaults], strict=True
        ):
            if default is not None:
                self._drop_default(argument, argument.annotation or argument, default)
                self.visit(default)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._drop_default(node.target, node.annotation, node.value)
            self.visit(node.value)

    def visit_Compare(self, node: ast.Compare) -> None:
        swapped = COMPARISONS[type(node.ops[0])]()
        self._replace(node, ast.Compare(node.left, [swapped, *node.ops[1:]], node.comparators))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        swapped = OPERATORS.get(type(node.op))
        if swapped is not None:
            self._replace(node, ast.BinOp(node.left, swapped(), node.right))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        swapped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._replace(node, ast.BoolOp(swapped, node.values))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, node.operand)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        if isinstance(called, ast.Name) and called.id in NAMES:
            self._replace(called, ast.Name(NAMES[called.id]))
        elif isinstance(called, ast.Attribute) and called.attr in NAMES:
            self._replace(called, ast.Attribute(called.value, NAMES[called.attr]))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._replace(node, ast.Constant(not value))
        elif isinstance(value, int):
            self._replace(node, ast.Constant(value + 1), ast.Constant(value - 1))
        elif isinstance(value, float):
            self._replace(node, ast.Constant(2.0 * value if value else 1.0))


def _is_python(source: bytes) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def places(source: bytes) -> list[list[Mutant]]:
    """The places of a module that can be changed, in order, each with its mutants."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    # A default in brackets is longer than its expression: without it, brackets are left over.
    whole = [
        [each for each in place if each.text or _is_python(each.applied(source))]
        for place in finder.places
    ]
    return [place for place in whole if place]
