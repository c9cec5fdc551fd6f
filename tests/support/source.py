"""The package's source, read and not run: which module imports what."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "mina_ops"


@dataclass(frozen=True)
class Module:
    """One module of mina_ops."""

    path: Path

    @property
    def name(self) -> str:
        """Its dotted name below mina_ops: "operator.traffic.model"; "" is mina_ops itself."""
        parts = self.path.relative_to(PACKAGE).with_suffix("").parts
        return ".".join(part for part in parts if part != "__init__")

    @property
    def unit(self) -> str:
        """The part that it belongs to: "app.drain", "operator.traffic", "cli"."""
        return unit_of(self.name)

    @cached_property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.path.read_text().splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text(), str(self.path))

    def imports(self) -> Iterator[str]:
        """The dotted name of everything that it imports, wherever and for whatever it does so."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: import by the full name"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def own_imports(self) -> Iterator[str]:
        """The units of mina_ops that it imports, itself left out; "" is mina_ops itself."""
        for full in self.imports():
            top, _, rest = full.partition(".")
            if top == PACKAGE.name:
                unit = unit_of(rest)
                if unit != self.unit:
                    yield unit

    def files_imported(self) -> Iterator[str]:
        """The modules of mina_ops that it imports, TYPE_CHECKING imports among them.

        Importing `a.b.c` runs `a` and `a.b` as well; those that it lies in itself are left out.
        """
        for full in self.imports():
            top, _, rest = full.partition(".")
            if top != PACKAGE.name:
                continue
            parts = rest.split(".")
            for end in range(1, len(parts) + 1):
                name = ".".join(parts[:end])
                if _is_module(name) and not f"{self.name}.".startswith(f"{name}."):
                    yield name

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Its functions and methods, inner ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def modules() -> list[Module]:
    """Every module of mina_ops; migrations, which Alembic writes, are left out."""
    found = sorted(PACKAGE.rglob("*.py"))
    return [Module(path) for path in found if "migrations" not in path.parts]


# Files below a folder's other files, or above them.
OWN_ROW = {"app.admin.routes", "app.admin.clash_routes", "app.admin.token_routes"}


def unit_of(name: str) -> str:
    """The unit of a dotted name below mina_ops; a name of mina_ops itself, like MinaOps, is ""."""
    own = next((unit for unit in OWN_ROW if f"{name}.".startswith(f"{unit}.")), None)
    if own is not None:
        return own
    first, _, rest = name.partition(".")
    if first in ("app", "operator") and rest:
        return f"{first}.{rest.partition('.')[0]}"
    is_module = (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file()
    return first if is_module else ""


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines a function has, its docstring left out."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def circles_of(imports: Mapping[str, Set[str]]) -> list[list[str]]:
    """The modules that reach themselves through what they import, one list for each circle."""
    reached = {name: _reachable(name, imports) for name in imports}
    circles = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in imports
        if name in reached[name]
    }
    return sorted(list(circle) for circle in circles)


def _reachable(start: str, imports: Mapping[str, Set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(imports[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports.get(name, ())
    return found


def _is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
