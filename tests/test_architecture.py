"""The floors of docs/explanation/architecture.md, held: who imports whom, and who prints.

The table's columns are `floor | module | job | third party`. A module imports from lower floors only, and of other
people's packages only those of its row.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[1]
PACKAGE = "mirrorpy"
DOCUMENT = PROJECT / "docs/explanation/architecture.md"
IMPORT_NAMES = {"pyyaml": "yaml"}
"""Distributions whose package has another name."""
MAY_PRINT = ("cli", "__main__")
IMPORTERS = ("import_module", "importlib.import_module", "__import__")
VOICES = ("print", "sys.exit", "exit", "quit", "os._exit")
ENTRY = "__main__"
"""Stands on the roof: imports whatever it likes, and needs no row."""


@dataclass(frozen=True)
class Row:
    """One module of the table."""

    floor: int
    third_party: frozenset[str]
    extras: frozenset[str]


@dataclass(frozen=True)
class Import:
    """One import, wherever it stands."""

    file: Path
    line: int
    module: str
    """Absolute: `mirrorpy.rpmmd.model`."""

    @property
    def place(self) -> str:
        return f"{self.file.name}:{self.line}"


def distribution(name: str) -> str:
    """The name of a requirement without its version, as PyPI compares names."""
    return re.split(r"[\s<>=!~\[;(]", name.strip(), maxsplit=1)[0].lower().replace("_", "-")


def read_table(text: str) -> dict[str, Row]:
    """Return the floor table of a Markdown page."""
    rows: dict[str, Row] = {}
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.lstrip().startswith("|") else []
        if cells[:1] == ["floor"]:
            assert cells == ["floor", "module", "job", "third party"], cells
            inside = True
        elif not cells:
            inside = False
        elif inside and cells[0].isdigit():
            assert len(cells) == 4, line
            required, optional = split_third_party(cells[3])
            for name in re.findall(r"`(\w+)/?`", cells[1]):
                assert name not in rows, f"{name} has two rows"
                rows[name] = Row(int(cells[0]), required, optional)
    assert rows, "the document has no table of floors"
    return rows


def split_third_party(cell: str) -> tuple[frozenset[str], frozenset[str]]:
    """`a, b (extra)`: everything before `(extra)` is optional, where it stands in the cell."""
    names = frozenset(distribution(name) for name in re.sub(r"\([^)]*\)|`", "", cell).split(",") if name.strip())
    return (frozenset(), names) if "(extra)" in cell else (names, frozenset())


def modules_of(package: Path) -> dict[str, list[Path]]:
    """Return the files of each top-level module; the package's own `__init__` is none."""
    found: dict[str, list[Path]] = {}
    for entry in sorted(package.iterdir()):
        if entry.is_dir() and any(entry.rglob("*.py")):
            found[entry.name] = sorted(entry.rglob("*.py"))
        elif entry.suffix == ".py" and entry.name != "__init__.py":
            found[entry.stem] = [entry]
    return found


def imports_of(file: Path, package: Path) -> Iterator[Import]:
    """Yield every import of a file: in functions, under TYPE_CHECKING, and through importlib with a literal."""
    parts = (package.name, *file.relative_to(package).with_suffix("").parts)
    here = parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                # `from mirrorpy import plan` is an import of mirrorpy.plan; `from mirrorpy import __version__` is not.
                submodule = module == package.name and is_module(package, alias.name)
                yield Import(file, node.lineno, f"{module}.{alias.name}" if submodule else module)
        elif isinstance(node, ast.Call) and called(node.func) in IMPORTERS and isinstance(node.args[0], ast.Constant):
            yield Import(file, node.lineno, str(node.args[0].value))


def is_module(package: Path, name: str) -> bool:
    """Tell a module from a name that the package's own `__init__` defines."""
    return (package / f"{name}.py").is_file() or (package / name).is_dir()


def called(function: ast.expr) -> str:
    """Return the dotted name of what is called."""
    if isinstance(function, ast.Attribute):
        return f"{called(function.value)}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def check_imports(package: Path, table: dict[str, Row]) -> list[str]:
    """Return what breaks the table, one line each."""
    problems: list[str] = []
    modules = modules_of(package)
    problems += [f"{name} has no row" for name in modules if name not in table and name != ENTRY]
    problems += [f"{name} has a row and is no module" for name in table if name not in modules]
    for name, files in modules.items():
        row = table.get(name)
        if row is None:
            continue
        allowed = {IMPORT_NAMES.get(wanted, wanted.replace("-", "_")) for wanted in row.third_party | row.extras}
        for found in (found for file in files for found in imports_of(file, package)):
            top, _, rest = found.module.partition(".")
            if top == package.name:
                problems += check_floor(name, rest.partition(".")[0], found, table)
            elif top not in sys.stdlib_module_names and top not in allowed:
                problems.append(f"{name} ({found.place}) imports {top}, which its row does not name")
    return problems


def check_floor(name: str, other: str, found: Import, table: dict[str, Row]) -> list[str]:
    """Return the complaint about one import inside the package, if there is one."""
    if other in ("", name) or other not in table:
        known = other in ("", name)
        return [] if known else [f"{name} ({found.place}) imports {other}, which has no row"]
    mine, its = table[name].floor, table[other].floor
    if its < mine:
        return []
    where = "its own floor" if its == mine else "a higher floor"
    return [f"{name} ({found.place}) imports {other} of {where}"]


def check_unused(package: Path, table: dict[str, Row]) -> list[str]:
    """Return the third-party packages that a row names and its module never imports."""
    problems: list[str] = []
    for name, files in modules_of(package).items():
        tops = {found.module.partition(".")[0] for file in files for found in imports_of(file, package)}
        named = sorted(table[name].third_party if name in table else ())
        problems += [
            f"{name} does not import {wanted}, which its row names"
            for wanted in named
            if IMPORT_NAMES.get(wanted, wanted.replace("-", "_")) not in tops
        ]
    return problems


def check_voice(package: Path) -> list[str]:
    """Return who prints or exits, beside the command line."""
    problems: list[str] = []
    for name, files in modules_of(package).items():
        if name in MAY_PRINT:
            continue
        for file in files:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                word = (
                    called(node.func)
                    if isinstance(node, ast.Call)
                    else called(node)
                    if isinstance(node, ast.Name)
                    else ""
                )
                wrong = word in VOICES if isinstance(node, ast.Call) else word == "SystemExit"
                if wrong:
                    problems.append(f"{name} ({file.name}:{node.lineno}) has {word}")
    return problems


def check_docstrings(package: Path) -> list[str]:
    """Return the files that do not say what they are."""
    return [
        str(file.relative_to(package))
        for file in sorted(package.rglob("*.py"))
        if not (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").strip()
    ]


def check_dependencies(pyproject: str, table: dict[str, Row]) -> list[str]:
    """Return how pyproject's dependencies and the table's last column differ."""
    declared = {distribution(name) for name in tomllib.loads(pyproject)["project"]["dependencies"]}
    named = {name for row in table.values() for name in row.third_party}
    return [f"{name} is a dependency and in no row" for name in sorted(declared - named)] + [
        f"{name} is in a row and no dependency" for name in sorted(named - declared)
    ]


# mirrorpy itself


@pytest.fixture(scope="module")
def table() -> dict[str, Row]:
    """The floors that the documentation draws."""
    return read_table(DOCUMENT.read_text(encoding="utf-8"))


def test_floors(table: dict[str, Row]) -> None:
    assert check_imports(PROJECT / PACKAGE, table) == []


def test_rows_name_nothing_that_is_not_imported(table: dict[str, Row]) -> None:
    assert check_unused(PROJECT / PACKAGE, table) == []


def test_only_the_command_line_prints_and_exits() -> None:
    assert check_voice(PROJECT / PACKAGE) == []


def test_every_module_says_what_it_is() -> None:
    assert check_docstrings(PROJECT / PACKAGE) == []


def test_dependencies_are_those_of_the_table(table: dict[str, Row]) -> None:
    assert check_dependencies((PROJECT / "pyproject.toml").read_text(encoding="utf-8"), table) == []


# The checks themselves, on trees that break the rules

TABLE = """
# A page

| not | the | table |
|---|---|---|
| 9 | `cli/` | x |

| floor | module | job | third party |
|---|---|---|---|
| 3 | `cli/` | one `file` a command | rich |
| 2 | `web` | | httpx, PyYAML |
| 2 | `disk` | | |
| 1 | `serve/`, `emit/` | | starlette, uvicorn (extra) |
| 0 | `errors` | | |

Text with | a bar.
"""
TREE = {
    "__init__.py": '"""P."""\n__version__ = "1"\n',
    "__main__.py": '"""M."""\nimport sys\nfrom p.cli import main\nsys.exit(main())\n',
    "cli/__init__.py": (
        '"""C."""\nimport rich\nfrom p import __version__, errors\n'
        "from p.cli import show\nfrom . import show\nprint(1)\n"
    ),
    "cli/show.py": '"""S."""\nfrom .. import disk\nfrom ..web import x\nfrom p.cli import main\n',
    "web.py": '"""W."""\nimport httpx, yaml\nimport p.errors\nfrom .errors import E\n',
    "disk.py": '"""D."""\nimport os.path\nfrom p.serve.x import y\n',
    "serve/__init__.py": '"""S."""\n',
    "emit/__init__.py": '"""E."""\nimport uvicorn\n',
    "errors.py": '"""E."""\nfrom __future__ import annotations\n',
}


def build(folder: Path, **changes: str) -> Path:
    """A package that keeps the rules, but for the changes: module → its text, `""` for none."""
    package = folder / "p"
    named = {
        name.replace("__", "/") + ".py" if not name.startswith("_") else f"{name}.py": text
        for name, text in changes.items()
    }
    for name, text in {**TREE, **named}.items():
        if text:
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text)
    return package


def test_table_is_read() -> None:
    rows = read_table(TABLE)
    assert {name: row.floor for name, row in rows.items()} == {
        "cli": 3, "web": 2, "disk": 2, "serve": 1, "emit": 1, "errors": 0
    }  # fmt: skip
    assert rows["web"].third_party == {"httpx", "pyyaml"}
    assert (rows["emit"].third_party, rows["emit"].extras) == (frozenset(), {"starlette", "uvicorn"})


@pytest.mark.parametrize("text", ["", "# no table", "| floor | module |\n|---|---|\n| 1 | `a` |"])
def test_a_page_without_the_table_is_no_page(text: str) -> None:
    with pytest.raises(AssertionError):
        read_table(text)


def test_a_tree_that_keeps_the_rules(tmp_path: Path) -> None:
    package = build(tmp_path)
    assert check_imports(package, read_table(TABLE)) == []
    assert check_unused(package, read_table(TABLE)) == []
    assert check_voice(package) == []
    assert check_docstrings(package) == []


BROKEN = [
    ("from p.cli import main", "a higher floor"),
    ("import p.cli", "a higher floor"),
    ("import p.cli.show as x", "a higher floor"),
    ("from p import cli", "a higher floor"),
    ("from . import cli", "a higher floor"),
    ("from .cli.show import x", "a higher floor"),
    ("def f():\n    from p.cli import main", "a higher floor"),
    ("if TYPE_CHECKING:\n    from p.cli import main", "a higher floor"),
    ("try:\n    import p.cli\nexcept ImportError:\n    pass", "a higher floor"),
    ("class A:\n    def f(self):\n        import p.cli", "a higher floor"),
    ("import importlib\nimportlib.import_module('p.cli')", "a higher floor"),
    ("from p.disk import x", "its own floor"),
    ("from p import errors, disk", "its own floor"),
    ("from . import disk", "its own floor"),
    ("import rich", "imports rich"),
    ("from rich.progress import Progress", "imports rich"),
    ("def f():\n    import rich", "imports rich"),
    ("import requests.adapters", "imports requests"),
    ("import uvicorn", "imports uvicorn"),
    ("from p.nowhere import x", "no row"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_imports_that_break_the_rules(tmp_path: Path, text: str, said: str) -> None:
    package = build(tmp_path, web=f'"""W."""\nimport httpx, yaml\n{text}\n')
    (problem,) = check_imports(package, read_table(TABLE))
    assert said in problem
    assert "web" in problem
    assert "web.py:" in problem


def test_relative_imports_inside_a_package_are_seen_too(tmp_path: Path) -> None:
    package = build(
        tmp_path, serve__deep__x='"""X."""\nfrom ...cli import main\nfrom .. import y\nfrom ... import web\n'
    )
    problems = check_imports(package, read_table(TABLE))
    assert len(problems) == 2
    assert all("serve" in problem and "higher floor" in problem for problem in problems)


def test_rows_and_modules_are_the_same(tmp_path: Path) -> None:
    package = build(tmp_path, extra='"""X."""\n')
    assert check_imports(package, read_table(TABLE)) == ["extra has no row"]
    without = TABLE.replace("| 0 | `errors` | | |\n", "")
    assert "errors has no row" in check_imports(build(tmp_path / "2"), read_table(without))
    more = TABLE.replace("| 0 | `errors`", "| 0 | `ghost` | | |\n| 0 | `errors`")
    assert check_imports(build(tmp_path / "3"), read_table(more)) == ["ghost has a row and is no module"]


def test_a_row_that_names_too_much(tmp_path: Path) -> None:
    table = read_table(TABLE.replace("| 2 | `disk` | | |", "| 2 | `disk` | | lxml |"))
    assert check_unused(build(tmp_path), table) == ["disk does not import lxml, which its row names"]


@pytest.mark.parametrize(
    "text",
    [
        "print(1)",
        "def f():\n    print()",
        "import sys\nsys.exit(1)",
        "raise SystemExit",
        "raise SystemExit(2)",
        "exit()",
    ],
)
def test_voices_below_the_command_line(tmp_path: Path, text: str) -> None:
    for module in ("disk", "serve__x", "errors"):
        package = build(tmp_path / module, **{module: f'"""D."""\n{text}\n'})
        assert len(check_voice(package)) == 1


@pytest.mark.parametrize("text", ["x = 1\n", "# a comment\n", '""\n', "'''   '''\n"])
def test_files_that_say_nothing(tmp_path: Path, text: str) -> None:
    assert check_docstrings(build(tmp_path, serve__x=text)) == ["serve/x.py"]


def test_dependencies_that_differ() -> None:
    table = read_table(TABLE)
    good = '[project]\ndependencies = ["httpx>=0.27", "PyYAML>=6", "rich"]'
    assert check_dependencies(good, table) == []
    assert check_dependencies(good.replace('"rich"', "\"requests[socks]>=2; python_version>'3'\""), table) == [
        "requests is a dependency and in no row",
        "rich is in a row and no dependency",
    ]
