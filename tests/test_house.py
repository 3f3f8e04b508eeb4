"""The rules of the house: who may import whom, sizes, names, types, docstrings, what runs on every system.

Each rule is a function from a source file to its complaints. Every rule is first shown a snippet that breaks
it, so that a rule that has gone blind fails here.
"""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent

ARROWS = {
    "apdu": set[str](),
    "applet_model": {"apdu"},
    "broadcast": {"apdu"},
    "host": {"apdu", "broadcast"},
    "personalization": {"apdu", "host"},
    "center": {"apdu", "broadcast", "host"},
    "saifu": {"apdu", "applet_model", "broadcast", "center", "host", "personalization"},
}
"""Room to the rooms that it may import."""

CARD_ADAPTER = "host/model.py"
"""The one file of the host that knows the card model."""

PYSCARD_ADAPTER = "host/scard.py"
"""The one file that knows pyscard, which is optional."""

LETTING_GO = "host/held_card.py"
"""The one file that lets go of a card in a reader, in the one way that leaves nothing behind."""
LETS_GO = {"SCardDisconnect", "SCardEndTransaction"}

POSIX_FILES = frozenset({"host/virtual/control.py", "host/virtual/daemon.py", "host/virtual/serial_reader.py"})
"""Files for POSIX systems alone; the others import them in functions, or under a test of the platform."""

POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAME = re.compile(
    r"os\.(fchown|fdatasync|fork|forkpty|getegid|geteuid|getgid|getuid|killpg|memfd_create|mkfifo|openpty|pipe2"
    r"|posix_fallocate|pread|pwrite|sched_setaffinity|setgid|setsid|setuid|unshare|O_CLOEXEC|O_DIRECTORY)"
    r"|signal\.(SIGCHLD|SIGHUP|SIGKILL|SIGUSR1|SIGUSR2|alarm|pthread_sigmask|setitimer|sigwait)"
    r"|socket\.(AF_NETLINK|AF_UNIX|MSG_NOSIGNAL|SO_PEERCRED|SO_REUSEPORT|TCP_QUICKACK)"
)
"""What is missing on at least one of macOS and Windows."""

LONGEST_FUNCTION = 50
LONGEST_FILE = 400
VAGUE = {"base", "common", "core", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
INDEX_HOST = re.compile(r"pypi\.org|pythonhosted|--(extra-)?index-url|--(find-links|trusted-host)|\.debian\.org")

ONE_OF_MANY = re.compile(r" (cards|days|hours|minutes|payments|rows|sales|tries)\b")
"""What is counted for people with a number that may be 1: ``counted`` knows what one is called."""

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its path from the repository's root with slashes, its text and its tree."""

    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """First folder of the path."""
        return self.name.split("/")[0]

    @property
    def module(self) -> str:
        """Dotted name to import it by."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def source(name: str, text: str) -> Source:
    return Source(name, text, ast.parse(text))


def sources(*folders: str) -> list[Source]:
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths]


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, type_of_function))


def targets(node: ast.AST) -> list[str]:
    """Modules that a node imports, by a statement or by name through importlib."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            return [module, *(f"{module}.{alias.name}" for alias in names)]
        case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_]):
            return [module] if re.search(r"\b(__import__|import_module)$", ast.unparse(function)) else []
    return []


def imports(nodes: Iterator[ast.AST]) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported."""
    return ((getattr(node, "lineno", 0), name) for node in nodes for name in targets(node))


def asks_platform(node: ast.AST) -> bool:
    """Whether a branch is there for some systems only."""
    if isinstance(node, ast.Try):
        caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
        return bool(re.search(r"\b(ImportError|ModuleNotFoundError|AttributeError)\b", caught))
    if not isinstance(node, ast.If | ast.IfExp):
        return False
    return bool(re.search(r"\b(hasattr|platform|TYPE_CHECKING)\b", ast.unparse(node.test)))


def everywhere(tree: ast.AST, *, into_functions: bool) -> Iterator[ast.AST]:
    """Nodes that count on every system, with or without what runs only when called."""
    for node in ast.iter_child_nodes(tree):
        if asks_platform(node) or (not into_functions and isinstance(node, (*type_of_function, ast.Lambda))):
            continue
        yield node
        yield from everywhere(node, into_functions=into_functions)


# --- the rules ---------------------------------------------------------------------------------------------


def arrows(file: Source) -> Iterator[str]:
    allowed = ARROWS[file.room] | {file.room} | ({"applet_model"} if file.name == CARD_ADAPTER else set())
    for line, module in imports(ast.walk(file.tree)):
        if (room := module.split(".")[0]) in ARROWS.keys() - allowed:
            yield f"{file.name}:{line} imports {room}"
        if room == "tests":
            yield f"{file.name}:{line} imports tests"


def own_pyscard(file: Source) -> Iterator[str]:
    for line, module in imports(ast.walk(file.tree)):
        if module.split(".")[0] == "smartcard" and file.name != PYSCARD_ADAPTER:
            yield f"{file.name}:{line} imports pyscard"


def one_way_out(file: Source) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Attribute) and node.attr in LETS_GO and file.name != LETTING_GO:
            yield f"{file.name}:{node.lineno} lets go of a card by itself"


def no_star(file: Source) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ImportFrom) and (node.level or node.names[0].name == "*"):
            yield f"{file.name}:{node.lineno} has a star or relative import, which hides an arrow"


def short_functions(file: Source) -> Iterator[str]:
    for function in functions(file.tree):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > LONGEST_FUNCTION:
            yield f"{file.name}:{function.lineno} {function.name} has {length} lines"


def short_files(file: Source) -> Iterator[str]:
    if (length := len(file.text.splitlines())) > LONGEST_FILE:
        yield f"{file.name} has {length} lines"


def telling_names(file: Source) -> Iterator[str]:
    for part in file.name.removesuffix(".py").split("/"):
        if VAGUE & set(part.lower().split("_")):
            yield f"{file.name}: the name {part} says nothing"
    for node in ast.walk(file.tree):
        words = re.findall("[A-Z][a-z]*", node.name) if isinstance(node, ast.ClassDef) else []
        if isinstance(node, ast.ClassDef) and VAGUE & {word.lower() for word in words}:
            yield f"{file.name}:{node.lineno} the name {node.name} says nothing"


def typed(file: Source) -> Iterator[str]:
    for function in functions(file.tree):
        given = function.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        named = [a for a in arguments if a is not None and a.arg not in ("self", "cls")]
        if function.returns is None or not all(argument.annotation for argument in named):
            yield f"{file.name}:{function.lineno} {function.name} is not fully typed"


def documented(file: Source) -> Iterator[str]:
    if not ast.get_docstring(file.tree):
        yield f"{file.name} has no docstring"
    for node in ast.walk(file.tree):
        if not isinstance(node, (ast.ClassDef, *type_of_function)) or node.name.startswith("_"):
            continue
        marks = {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
        if not ast.get_docstring(node) and not marks & {"overload", "setter", "deleter"}:
            yield f"{file.name}:{node.lineno} {node.name} has no docstring"


def counts_well(file: Source) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for number, what in pairwise(node.values):
            plain = isinstance(number, ast.FormattedValue) and number.format_spec is None
            if plain and isinstance(what, ast.Constant) and (found := ONE_OF_MANY.match(str(what.value))):
                yield f"{file.name}:{node.lineno} counts{found.group()}, of which there may be one: say counted(…)"


def portable(file: Source) -> Iterator[str]:
    if file.name in POSIX_FILES:
        return
    posix = POSIX_MODULES | {source(name, "").module for name in POSIX_FILES}
    for line, module in imports(everywhere(file.tree, into_functions=False)):
        if module in posix:
            yield f"{file.name}:{line} imports {module} on every system"
    nodes = list(everywhere(file.tree, into_functions=True))
    named = [(node.lineno, ast.unparse(node)) for node in nodes if isinstance(node, ast.Attribute)]
    for line, name in [*named, *imports(iter(nodes))]:
        if POSIX_NAME.fullmatch(name):
            yield f"{file.name}:{line} uses {name} on every system"


def names_no_index(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if found := INDEX_HOST.search(line):
            yield f"{name}:{number} names {found.group()}"


def missing_exports(module: ModuleType) -> list[str]:
    return [f"{module.__name__}.{name}" for name in module.__all__ if not hasattr(module, name)]


Rule = Callable[[Source], Iterator[str]]
OF_ROOMS: list[Rule] = [arrows, own_pyscard, one_way_out, documented, counts_well, portable]
OF_ALL: list[Rule] = [no_star, short_functions, short_files, telling_names, typed]

# --- the rules bite ----------------------------------------------------------------------------------------

BAD: list[tuple[Rule, str, str]] = [
    (arrows, "apdu/ber.py", "import host.session"),
    (arrows, "applet_model/purse.py", "def f():\n    from center import ledger"),
    (arrows, "host/session.py", "from applet_model.card import Card"),
    (arrows, "host/session.py", "import importlib\nimportlib.import_module('applet_model.card')"),
    (arrows, "saifu/demo.py", "from tests import bench"),
    (own_pyscard, "host/readers.py", "def f():\n    from smartcard.System import readers"),
    (own_pyscard, "saifu/doctor.py", "import smartcard"),
    (one_way_out, "host/pcsc.py", "scard_api().SCardDisconnect(1, 0)"),
    (one_way_out, "host/pcsc.py", "end = scard_api().SCardEndTransaction"),
    (no_star, "host/session.py", "from apdu.status import *"),
    (no_star, "host/session.py", "from ..applet_model import card"),
    (short_functions, "apdu/ber.py", "def f():\n" + "    f()\n" * LONGEST_FUNCTION),
    (short_files, "apdu/ber.py", "\n" * (LONGEST_FILE + 1)),
    (telling_names, "host/utils.py", ""),
    (telling_names, "host/core/session.py", ""),
    (telling_names, "host/card_helpers.py", ""),
    (telling_names, "host/session.py", "class SessionManager: ..."),
    (typed, "apdu/ber.py", "def f(a) -> None: ..."),
    (typed, "apdu/ber.py", "def f(a: int): ..."),
    (typed, "apdu/ber.py", "async def f(*a, b: int) -> None: ..."),
    (documented, "apdu/ber.py", "x = 1"),
    (documented, "apdu/ber.py", '"""Said."""\nclass A: ...'),
    (documented, "apdu/ber.py", '"""Said."""\nclass A:\n    """Said."""\n    def f(self): ...'),
    (counts_well, "center/cli.py", "def f(n):\n    return f'{n} cards are listed'"),
    (counts_well, "center/cli.py", "x = f'{a} and {b.c} hours'"),
    (portable, "host/session.py", "import fcntl"),
    (portable, "host/session.py", "class A:\n    from termios import tcgetattr"),
    (portable, "host/session.py", "import socket\ndef f(s):\n    s.setsockopt(6, socket.TCP_QUICKACK, 1)"),
    (portable, "applet_model/memory.py", "import os\nos.pwrite(1, b'', 0)"),
    (portable, "applet_model/memory.py", "def f():\n    from os import pread"),
]

GOOD: list[tuple[Rule, str, str]] = [
    (arrows, "host/model.py", "from applet_model.card import Card\nfrom host import session"),
    (arrows, "saifu/demo.py", "import center.ledger, personalization, json"),
    (own_pyscard, "host/scard.py", "from smartcard.System import readers"),
    (one_way_out, "host/held_card.py", "scard_api().SCardDisconnect(1, 0)"),
    (documented, "apdu/ber.py", '"""Said."""\ndef _f(): ...'),
    (counts_well, "center/cli.py", "f'{counted(n, 1)} listed, {n:,} cards, {n} cardsharps, {n} bytes'"),
    (portable, "host/session.py", "import sys\nif sys.platform == 'linux':\n    import fcntl"),
    (portable, "host/session.py", "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None"),
    (portable, "host/session.py", "def f():\n    import fcntl"),
    (portable, "host/session.py", "if hasattr(socket, 'TCP_QUICKACK'):\n    x = socket.TCP_QUICKACK"),
]


@pytest.mark.parametrize(("rule", "name", "text"), BAD)
def test_rule_bites(rule: Rule, name: str, text: str) -> None:
    assert list(rule(source(name, text)))


@pytest.mark.parametrize(("rule", "name", "text"), GOOD)
def test_rule_lets_good_code_pass(rule: Rule, name: str, text: str) -> None:
    assert not list(rule(source(name, text)))


def test_every_rule_is_shown_to_bite() -> None:
    assert {rule for rule, _, _ in BAD} == {*OF_ROOMS, *OF_ALL}


def test_rule_on_index_hosts_bites() -> None:
    for line in ("see https://pypi" + ".org/simple", "--index" + "-url x", "files.python" + "hosted.org"):
        assert list(names_no_index("docs/a.md", line))
    assert not list(names_no_index("Makefile", "uv pip compile --no-emit-index-url"))


def test_rule_on_exports_bites() -> None:
    module = ModuleType("apdu.made_up")
    module.__dict__.update(__all__=["here", "gone"], here=1)
    assert missing_exports(module) == ["apdu.made_up.gone"]


# --- the house keeps them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [*OF_ROOMS, *OF_ALL])
def test_rooms_keep(rule: Rule) -> None:
    assert [complaint for file in sources(*ARROWS) for complaint in rule(file)] == []


@pytest.mark.parametrize("rule", OF_ALL)
def test_tests_keep(rule: Rule) -> None:
    assert [complaint for file in sources("tests", "tools") for complaint in rule(file)] == []


@pytest.mark.parametrize("room", ARROWS)
def test_exported_names_exist(room: str) -> None:
    exporting = [file.module for file in sources(room) if re.search(r"^__all__\b", file.text, re.MULTILINE)]
    assert [name for module in exporting for name in missing_exports(importlib.import_module(module))] == []


@pytest.mark.parametrize("room", ARROWS)
def test_room_ships_its_types(room: str) -> None:
    assert (ROOT / room / "py.typed").is_file()


def test_listed_files_exist() -> None:
    listed = [CARD_ADAPTER, PYSCARD_ADAPTER, LETTING_GO, *POSIX_FILES]
    assert [name for name in listed if not (ROOT / name).is_file()] == []


def test_nothing_written_down_names_an_index() -> None:
    folders = ("docs", "requirements", "tools", ".ci")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    paths += [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob(".*.yaml"), ROOT / "Makefile"]
    written = [(path.relative_to(ROOT).as_posix(), path.read_text("utf-8", "replace")) for path in paths]
    assert [complaint for name, text in written for complaint in names_no_index(name, text)] == []


POOR_MACHINE = """
import builtins, importlib, json, sys
absent, rooms, modules = (json.loads(argument) for argument in sys.argv[1:])
real = builtins.__import__
def poor(name, globals=None, *rest):
    asking = (globals or {}).get("__name__", "").split(".")[0]
    if asking in rooms and name.split(".")[0] in absent:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real(name, globals, *rest)
builtins.__import__ = poor
for module in modules:
    importlib.import_module(module)
"""


def test_every_room_imports_without_pyscard_and_posix_modules() -> None:
    files = [file for file in sources(*ARROWS) if file.name not in POSIX_FILES]
    modules = [file.module for file in files if not file.name.endswith("__main__.py")]
    absent = sorted(POSIX_MODULES | {"smartcard"})
    command = [sys.executable, "-c", POOR_MACHINE, *map(json.dumps, (absent, sorted(ARROWS), modules))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
