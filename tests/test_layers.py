"""Imports flow one way, pure files stay pure, and everything stays small enough to read."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from tests.support.source import PACKAGE, Module, circles_of, code_lines, modules

# A unit imports only units of the rows above its own. A file that stands elsewhere than the rest
# of its folder has a row of its own (`OWN_ROW` in tests/support/source.py).
APP_LAYERS = (
    {"errors"},
    {"waiting", "app.engineio_payload"},
    {"files", "shipped", "fields", "page", "same_database", "app.clients"},
    {"locks"},
    {"app", "app.clock", "app.forks", "app.settings", "app.downgrade_guard", "app.native"},
    {"app.worker"},
    {"app.siblings"},
    {"app.socketio_adapter"},
    {"app.database"},
    {"app.process"},
    {"app.identity", "app.heartbeat", "app.socketio_binding"},
    {"app.web"},
    {"app.component", "app.state"},
    {"app.admin"},
    {"app.context"},
    {"app.admin.routes", "app.admin.clash_routes", "app.admin.token_routes"},
    {
        "app.metrics",
        "app.flags",
        "app.leases",
        "app.login",
    },
    {"app.releases"},
    {"app.health", "app.sessions"},
    {"app.recovery", "app.streams"},
    {"app.drain"},
    {"app.console"},
    {"app.runtime"},
    {"app.extension"},
    {"testing"},
)
OPERATOR_LAYERS = (
    {"errors"},
    {"waiting"},
    {"files", "shipped", "fields", "page", "same_database"},
    {"locks"},
    {"operator", "operator.system"},
    {"operator.config"},
    {"operator.api", "operator.notify"},
    {"operator.traffic"},
    {"operator.database"},
    {"operator.logs", "operator.secrets"},
    {"operator.incident"},
    {"operator.release"},
    {"operator.flags"},
    {"operator.checklist"},
    {"operator.setup", "operator.doctor", "operator.console", "operator.judge"},
    {"cli"},
)
BOTH_HALVES = {"errors", "waiting", "files", "locks", "shipped", "fields", "page", "same_database"}
APP_HALF = set().union(*APP_LAYERS) - BOTH_HALVES
OPERATOR_HALF = set().union(*OPERATOR_LAYERS) - BOTH_HALVES
# The demo is a host like any other, and an operator like any other.
DEMO_MAY_IMPORT = {"", "app.clients", "cli"} | (BOTH_HALVES | OPERATOR_HALF)
# `mina_ops demo` is a command too.
BESIDE_LAYERS = {"cli": {"demo"}, "": {"errors", "app.extension"}}

PURE_FILES = {"model.py", "evaluate.py", "histogram.py", "windows.py", "plan.py", "analysis.py"}
IMPURE_MODULES = {
    *("flask", "redis", "sqlalchemy", "httpx", "openai", "psutil", "socket", "subprocess"),
    *("os", "io", "shutil", "tempfile", "threading", "time", "random", "secrets", "uuid"),
}
IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today", "read_text", "write_text"}
MODULES = modules()


def _rank(unit: str, layers: tuple[set[str], ...]) -> int:
    return next((rank for rank, layer in enumerate(layers) if unit in layer), -1)


def _may_import(unit: str) -> set[str]:
    if unit == "demo":
        return DEMO_MAY_IMPORT
    layers = OPERATOR_LAYERS if unit in OPERATOR_HALF else APP_LAYERS
    below = layers[: max(_rank(unit, layers), 0)]
    return set().union(*below) | BESIDE_LAYERS.get(unit, set())


def test_every_unit_has_its_layer() -> None:
    known = APP_HALF | OPERATOR_HALF | BOTH_HALVES | {"", "demo"}
    unknown = sorted({module.unit for module in MODULES} - known)
    assert unknown == [], "give each new unit its row in tests/test_layers.py"


def test_imports_flow_one_way() -> None:
    upward = {
        module.name: sorted(set(module.own_imports()) - _may_import(module.unit))
        for module in MODULES
    }
    assert _offenders(upward) == {}, "see the rows of layers at the top of this file"


def test_the_picture_in_the_docs_is_of_these_rows() -> None:
    assert _picture() in (PACKAGE.parent / "docs" / "architecture.md").read_text(), (
        f"docs/architecture.md must hold:\n{_picture()}"
    )


def _picture() -> str:
    """All rows as text, one on a line; the first column names the half that they belong to."""
    halves = {
        "both": [row & BOTH_HALVES for row in APP_LAYERS],
        "app": [row - BOTH_HALVES for row in APP_LAYERS],
        "operator": [row - BOTH_HALVES for row in OPERATOR_LAYERS],
    }
    lines = []
    for half, rows in halves.items():
        names = [sorted(unit.removeprefix(f"{half}.") for unit in row - {half}) for row in rows]
        for number, row in enumerate(filter(None, names)):
            lines.append(f"{'' if number else half:<10}{', '.join(row)}")
    return "\n".join(lines)


def test_no_files_import_each_other_in_a_circle() -> None:
    circles = circles_of({module.name: set(module.files_imported()) for module in MODULES})
    assert circles == [], "whoever is imported by both goes into a file of its own, below them"


def test_a_circle_is_found() -> None:
    imports = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set[str]()}
    assert circles_of(imports) == [["a", "b", "c"]]


def test_no_constructor_takes_more_than_five_arguments() -> None:
    many = {
        module.name: [
            f"line {function.lineno}: {len(taken)}"
            for function in module.functions()
            if function.name == "__init__" and len(taken := _arguments(function)) > 5
        ]
        for module in MODULES
        if module.unit in APP_HALF
    }
    assert _offenders(many) == {}


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    taken = function.args
    return [*taken.posonlyargs, *taken.args, *taken.kwonlyargs][1:]


def test_the_operators_half_does_not_know_flask() -> None:
    of_flask = {
        module.name: [name for name in module.imports() if name.startswith(("flask", "werkzeug"))]
        for module in MODULES
        if module.unit in OPERATOR_HALF
    }
    assert _offenders(of_flask) == {}


def test_the_operators_half_runs_without_the_apps_half() -> None:
    names = [f"mina_ops.{m.name}" for m in MODULES if m.unit in OPERATOR_HALF]
    names += [f"mina_ops.demo.{name}" for name in ("programs", "processes", "servers")]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(*sorted(sys.modules))"
    )
    command = [sys.executable, "-W", "error", "-c", program, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {name for name in done.stdout.split() if name.startswith(("flask", "mina_ops."))}
    of_the_app = {f"mina_ops.{unit}" for unit in APP_HALF} | {"flask"}
    assert loaded & of_the_app == set()


def test_pure_files_ask_neither_the_clock_nor_the_world() -> None:
    impure = {}
    for module in MODULES:
        if module.path.name in PURE_FILES and module.unit != "demo":
            tops = {name.partition(".")[0] for name in module.imports()}
            impure[module.name] = sorted(tops & IMPURE_MODULES | _called(module) & IMPURE_CALLS)
    assert len(impure) >= 2, "the names of the pure files have changed"
    assert _offenders(impure) == {}


def _called(module: Module) -> set[str]:
    calls = [node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    names = {func.id for func in calls if isinstance(func, ast.Name)}
    return names | {func.attr for func in calls if isinstance(func, ast.Attribute)}


def test_no_module_holds_state() -> None:
    # An empty container at the top of a module is there to be filled.
    state = {
        module.name: [
            *(node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Global)),
            *(node.lineno for node in module.tree.body if _is_empty_container(node)),
        ]
        for module in MODULES
    }
    assert _offenders(state) == {}, "state belongs into app.extensions['mina_ops']"


def _is_empty_container(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    made = ast.unparse(node.value)
    return made in ("{}", "[]", "dict()", "list()", "set()") or made.startswith("defaultdict(")


def test_no_handler_catches_everything() -> None:
    caught = {
        module.name: [
            node.lineno
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ExceptHandler)
            and (node.type is None or "BaseException" in ast.unparse(node.type))
        ]
        for module in MODULES
    }
    assert _offenders(caught) == {}


def test_a_module_has_at_most_300_lines() -> None:
    lines = {module.name: len(module.lines) for module in MODULES}
    assert {name: count for name, count in lines.items() if count > 300} == {}


def test_a_function_has_at_most_50_lines() -> None:
    long = {
        f"{module.name}.{function.name}": code_lines(function)
        for module in MODULES
        for function in module.functions()
        if code_lines(function) > 50
    }
    assert long == {}


def test_public_names_say_what_they_are() -> None:
    silent = {}
    for module in MODULES:
        public = [node for node in module.tree.body if _is_public(node)]
        silent[module.name] = [node.name for node in public if ast.get_docstring(node) is None]
        if ast.get_docstring(module.tree) is None:
            silent[module.name].append("the module")
    assert _offenders(silent) == {}


def _is_public(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.ClassDef]:
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")


def _offenders(found: Mapping[str, Sequence[object]]) -> dict[str, Sequence[object]]:
    return {name: what for name, what in found.items() if what}
