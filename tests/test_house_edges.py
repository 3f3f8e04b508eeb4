"""The rules at the edges of the house: who starts processes, who writes files, who takes locks.

Each rule is a function from a source file to its complaints, and is shown to bite first, as in test_house.py.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.test_house import ARROWS, POSIX_FILES, ROOT, Rule, Source, imports, source, sources

STARTER = "broadcast/children.py"
"""The one file that starts processes: it knows which variables are secrets."""
STARTS = re.compile(
    r"subprocess\.(Popen|run|call|check_call|check_output|getoutput|getstatusoutput)|multiprocessing(\..*)?|typer\.launch"
    r"|os\.(exec\w+|spawn\w+|posix_spawnp?|system|popen|fork|forkpty|startfile)|pty\.(spawn|fork)|pexpect(\..*)?"
    r"|asyncio(\.\w+)?\.create_subprocess_\w+|webbrowser(\..*)?|.*\bProcessPoolExecutor"
)
"""What starts a process, with the environment of this one unless somebody thinks of it."""
READ_ANYWHERE = frozenset({"PATH", "PYTHONPATH", "PCSCLITE_CSOCK_NAME", "XDG_STATE_HOME", "LOCALAPPDATA"})
"""Variables of the environment that are no secrets; all others begin with SAIFU_, and no child gets them."""

LOCK = "host/files.py"
"""The one file that knows filelock."""
WRITERS = {
    LOCK: "the primitives",
    "broadcast/bearers/recording.py": "recordings: made beside their place, which they take",
    "center/backup.py": "a copy, made beside its place, which it takes",
    "center/broadcast_cli.py": "--out: cipher keys, locked",
    "center/center.py": "a new center: nobody knows the folder yet",
    "center/cli.py": "a new center, and --out: the copy of an edition",
    "center/editions.py": "edition-N: made once",
    "center/float_purse.py": "a float that was lost is made beside its place, which it takes",
    "center/schema.py": "the copy before a migration, made beside its place, which it takes",
    "center/witness.py": "inside a transaction of the database, one at a time; what is confirmed has a line of its own",
    "host/card_file.py": "card images: written in place, held while they are open",
    "host/recording.py": "traces: grow by lines, held by the program that writes",
    "host/sealed_file.py": "keys: Keystore.add and CenterKeys.read lock them; else they are new",
    "host/terminal/blacklist_store.py": "the store's files, under the store's lock",
    "host/terminal/listening_note.py": "a listener's note, held while it listens",
    "host/terminal/sales.py": "the sales stores: SQLite locks them",
    "host/trace_cli.py": "--out: a trace in another form",
    "host/virtual/broker.py": "a broker for trials, in a folder of its own",
    "host/virtual/certificates.py": "certificates for trials, in a folder of their own",
    "host/virtual/daemon.py": "pcscd's folder, its owner's alone",
    "personalization/cli.py": "--report, and the folder for images",
    "personalization/journal.py": "the journal, held while the batch runs",
    "personalization/keystore.py": "the key store, locked while a key is added",
    "personalization/letters.py": "letters, locked for each",
    "saifu/conformance/cli.py": "--junit and --html",
    "saifu/demo_air.py": "the demo's folder",
    "saifu/demo_cli.py": "the demo's folder",
    "saifu/documents.py": "make docs",
}
"""Files that write files, with what keeps two processes from undoing each other; see docs/reference/files.md."""

# --- the rules ---------------------------------------------------------------------------------------------


def starts_no_process(file: Source) -> Iterator[str]:
    """Types of processes may be named; whatever else is said of what starts one may start it."""
    types = {id(node.value) for node in ast.walk(file.tree) if isinstance(node, ast.Subscript)}
    named = [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Attribute) and id(node) not in types
    ]
    for line, name in [*named, *imports(ast.walk(file.tree))]:
        if STARTS.fullmatch(name) and file.name != STARTER:
            yield f"{file.name}:{line} uses {name}: processes are started in {STARTER}"


def own_variables(file: Source) -> Iterator[str]:
    for node in ast.walk(file.tree):
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if re.search(
                r"environ\.(get|pop)$|getenv$", ast.unparse(function)
            ):
                read = name
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name))) if ast.unparse(value) == "os.environ":
                read = name
            case ast.keyword(arg="envvar", value=ast.Constant(value=str(name))):
                read = name
            case _:
                continue
        if not read.startswith("SAIFU_") and read not in READ_ANYWHERE:
            yield f"{file.name}:{node.lineno} reads {read}: a variable that may be a secret begins with SAIFU_"


MAKES = re.compile(
    r"os\.(replace|rename|link|symlink|truncate|mkdir|makedirs)|tempfile\.(mkstemp|mkdtemp|NamedTemporaryFile)"
    r"|(.*\.)?(write_text|write_bytes|mkdir|touch|symlink_to|hardlink_to|save_svg|create_engine)"
)
WRITE_MODE = re.compile("'[rbt]*[wax+][rwaxbt+]*'|.*O_(WRONLY|RDWR|CREAT|APPEND|TRUNC)")


def _writes(node: ast.AST) -> str | None:
    """How a node makes or changes a file, or lets somebody do it; None when it does not."""
    if isinstance(node, ast.ImportFrom) and node.module == "host.files":
        written = {"append", "create_whole", "make_folder", "write_whole"} & {alias.name for alias in node.names}
        return ", ".join(sorted(written)) or None
    if not isinstance(node, ast.Call):
        return None
    called, words = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
    given = [*map(ast.unparse, node.args), *words.values()]
    if re.search(r"(^|\.)(open|FileIO|fdopen)$", called):
        is_method = called.endswith(".open") and not called.startswith(("os.", "io."))
        mode = words.get("mode") or next(iter(given[0 if is_method else 1 :]), "")
        return called if WRITE_MODE.fullmatch(mode) else None
    moves = re.search(r"\.(replace|rename)$", called) and len(given) == 1
    return called if moves or MAKES.fullmatch(called) else None


def writes_where_it_may(file: Source) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if file.name not in WRITERS and (how := _writes(node)):
            yield f"{file.name}:{getattr(node, 'lineno', 0)} writes a file ({how}): say in WRITERS what locks it"


def locks_in_one_place(file: Source) -> Iterator[str]:
    for line, module in imports(ast.walk(file.tree)):
        if module.split(".")[0] in ("filelock", "fcntl", "msvcrt") and file.name not in {LOCK, *POSIX_FILES}:
            yield f"{file.name}:{line} imports {module}: locks are taken by {LOCK}"


RULES: list[Rule] = [starts_no_process, own_variables, writes_where_it_may, locks_in_one_place]

# --- the rules bite ----------------------------------------------------------------------------------------

BAD: list[tuple[Rule, str, str]] = [
    *((starts_no_process, "host/session.py", text) for text in (
        "import subprocess\nsubprocess.run(['true'], env={})",
        "import subprocess\nstart = subprocess.Popen",
        "from subprocess import Popen",
        "import os\nos.system('true')",
        "import os\nos.execvp('true', ['true'])",
        "import os\nos.posix_spawn('true', [], {})",
        "import asyncio\nasync def f(): await asyncio.create_subprocess_exec('true')",
        "import multiprocessing",
        "from concurrent.futures import ProcessPoolExecutor",
        "import pty\npty.spawn('sh')",
        "import typer\ntyper.launch('x')",
    )),
    (own_variables, "host/session.py", "import os\nos.environ['PIN']"),
    (own_variables, "host/session.py", "import os\nos.environ.get('PIN', '')"),
    (own_variables, "host/session.py", "import os\nos.getenv('PIN')"),
    (own_variables, "host/session.py", "import typer\ntyper.Option('--pin', envvar='PIN')"),
    *((writes_where_it_may, "host/session.py", text) for text in (
        "open('x', 'w')",
        "open('x', mode='ab')",
        "path.open('r+b', buffering=0)",
        "path.write_text('x')",
        "path.write_bytes(b'x')",
        "path.mkdir()",
        "path.replace(other)",
        "import os\nos.open('x', os.O_WRONLY)",
        "import os\nos.replace('x', 'y')",
        "import tempfile\ntempfile.mkstemp()",
        "from io import FileIO\nFileIO('x', 'ab')",
        "from host.files import write_whole",
        "from host.files import locked, append",
        "from sqlalchemy import create_engine\ncreate_engine('sqlite:///x')",
    )),
    (locks_in_one_place, "host/session.py", "from filelock import FileLock"),
    (locks_in_one_place, "host/session.py", "def f():\n    import fcntl"),
]  # fmt: skip

GOOD: list[tuple[Rule, str, str]] = [
    (starts_no_process, "host/session.py", "import subprocess\ndef f(p: subprocess.Popen[bytes]): p.wait()"),
    (starts_no_process, "host/session.py", "import subprocess\npipe = subprocess.PIPE"),
    (starts_no_process, "host/session.py", "from broadcast import children\nchildren.start(['true'])"),
    (own_variables, "host/session.py", "import os\nos.environ.get('SAIFU_NEW_PIN')\nos.environ['PATH']"),
    (writes_where_it_may, "host/session.py", "open('x')\npath.open('rb')\n'a'.replace('a', 'w')"),
    (writes_where_it_may, "host/files.py", "path.write_bytes(b'x')"),
    (locks_in_one_place, "host/files.py", "from filelock import FileLock"),
]


@pytest.mark.parametrize(("rule", "name", "text"), BAD)
def test_rule_bites(rule: Rule, name: str, text: str) -> None:
    assert list(rule(source(name, text)))


@pytest.mark.parametrize(("rule", "name", "text"), GOOD)
def test_rule_lets_good_code_pass(rule: Rule, name: str, text: str) -> None:
    assert not list(rule(source(name, text)))


@pytest.mark.parametrize("rule", RULES)
def test_rooms_keep(rule: Rule) -> None:
    assert [complaint for file in sources(*ARROWS) for complaint in rule(file)] == []


def test_every_rule_is_shown_to_bite() -> None:
    assert {rule for rule, _, _ in BAD} == {*RULES}


def test_listed_writers_write() -> None:
    writing = {file.name for file in sources(*ARROWS) for node in ast.walk(file.tree) if _writes(node)}
    assert sorted(WRITERS.keys() - writing) == []


def test_listed_files_exist() -> None:
    assert [name for name in (STARTER, LOCK, *WRITERS) if not (ROOT / name).is_file()] == []
