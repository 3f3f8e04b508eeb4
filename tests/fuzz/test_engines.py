"""The engines find readers that are wrong, and the readers that there are pass a short run of each."""

import importlib.util
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.trace.detection import form_of
from apdu.trace.model import Exchange, Item, Remark
from tests.fuzz import runner, targets
from tests.fuzz.hypothesis_engine import BATCH
from tests.fuzz.mutation import MOST_SIZE, OPERATIONS, Change, changed, mutated
from tests.fuzz.runner import ENGINES, Figures, fuzz, keep, kept, sources
from tests.fuzz.seeds import ODD, seeds, words
from tests.fuzz.targets import INSPECTION, MOST_BYTES, TARGETS, ExcessError, Meter, Target, target_named

every_engine = pytest.mark.parametrize(
    "engine",
    [
        "hypothesis",
        pytest.param(
            "atheris",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("atheris") is None, reason="atheris is missing: `make fuzz` installs it"
            ),
        ),
    ],
)
SHORT = 300


@every_engine
@pytest.mark.parametrize(
    ("name", "said"), [("planted error", "IndexError"), ("planted memory", "MemoryError"), ("planted hang", "")]
)
def test_an_engine_finds_what_is_wrong_and_keeps_the_input(engine: str, name: str, said: str, tmp_path: Path) -> None:
    figures = fuzz(engine, name, 5000, hang=1, folder=tmp_path)
    assert figures["finding"]
    assert said in figures["finding"]
    assert figures["executions"] < 5000
    raw = (tmp_path.parent / figures["inputs"][0]).read_bytes()
    assert any("as long as" in item.text for item in target_named("gp").read([raw]) if isinstance(item, Remark))


@every_engine
def test_a_run_executes_as_often_as_it_says(engine: str, tmp_path: Path) -> None:
    figures = fuzz(engine, "detection", SHORT, folder=tmp_path)
    assert SHORT <= figures["executions"] <= SHORT + BATCH
    assert (figures["finding"], figures["inputs"]) == ("", [])
    assert figures["items"] > SHORT
    assert figures["slowest_ms"] > 0
    assert figures["sources"] == sources("detection")


@pytest.mark.parametrize("target", [*TARGETS, INSPECTION], ids=lambda target: target.name)
def test_a_reader_takes_its_seeds_and_some_mutations(target: Target) -> None:
    meter, random = Meter(target), Random(1)
    for raw in seeds(target.name):
        meter.execute(raw)
    assert meter.items >= len(seeds(target.name))
    others = (*ODD, *words(target.name))
    for raw in seeds(target.name)[:12]:
        for _ in range(5):
            meter.execute(mutated(raw, others, random))
    assert meter.executions == len(seeds(target.name)) + 5 * len(seeds(target.name)[:12])


def test_every_form_has_a_seed_that_is_recognized() -> None:
    recognized = [{form_of(raw).name for raw in seeds(target.name)[-1:]} for target in TARGETS[:-1]]
    assert recognized == [{target.name} for target in TARGETS[:-1]]


def reader_of(items: Iterable[Item]) -> Target:
    def read(chunks: Iterable[bytes]) -> Iterator[Item]:
        del chunks
        return iter(items)

    return Target("gp", (), read)


@pytest.mark.parametrize(
    "items",
    [
        [Remark("")] * 10,
        [Exchange(b"12345", b"6789")],
        [Remark("x" * 300)],
    ],
)
def test_more_than_an_input_can_hold_is_a_finding(items: list[Item]) -> None:
    with pytest.raises(ExcessError, match="8 bytes gave"):
        Meter(reader_of(items)).execute(bytes(8))


def test_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, targets.MOST_SECONDS + 0.1])
    monkeypatch.setattr(time, "thread_time", lambda: next(ticks))
    with pytest.raises(ExcessError, match=r"took 2\.1 s"):
        Meter(reader_of([])).execute(b"")


changes = st.builds(
    Change, st.integers(0, len(OPERATIONS) - 1), st.integers(0, MOST_BYTES), st.integers(0, MOST_SIZE), st.binary()
)


@given(raw=st.binary(), made=st.lists(changes, max_size=8))
def test_changes_keep_an_input_within_its_size(raw: bytes, made: list[Change]) -> None:
    new = bytearray(raw)
    for change in made:
        changed(new, change)
    assert len(new) <= MOST_BYTES


@pytest.mark.parametrize("operation", range(len(OPERATIONS)))
def test_every_operation_changes_something(operation: int) -> None:
    raw = b"first 12\nsecond 34\nthird 56\n"
    found = set[bytes]()
    for at in range(len(raw)):
        new = bytearray(raw)
        changed(new, Change(operation, at, 5, b"other"))
        found.add(bytes(new))
    assert len(found - {raw}) > 1


def figures(**other: object) -> Figures:
    return {"executions": 100, "finding": "", "sources": "a"} | other


def test_figures_of_a_longer_run_stay_unless_something_is_new(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    rows = [
        (figures(), 100),
        (figures(executions=50), 100),
        (figures(executions=200), 200),
        (figures(executions=10, sources="b"), 10),
        (figures(executions=5, sources="b", finding="ValueError"), 5),
        (figures(executions=4, sources="b"), 4),
    ]
    for new, expected in rows:
        keep("atheris", "gp", new, out)
        assert kept(out)["atheris"]["gp"]["executions"] == expected
    keep("hypothesis", "gp", figures(), out)
    assert set(json.loads(out.read_text())) == set(ENGINES)


def test_a_digest_is_of_all_that_a_reader_imports_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = tmp_path / "apdu" / "trace" / "forms"
    forms.mkdir(parents=True)
    for name, text in {
        "gp": "from apdu.trace.forms import pairing",
        "pairing": "from apdu.trace.model import Item",
    }.items():
        (forms / f"{name}.py").write_text(text)
    (forms.parent / "model.py").write_text("Item = int")
    (forms / "opensc.py").write_text("")
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    found = [sources("gp")]
    for file in (forms / "opensc.py", forms / "gp.py", forms / "pairing.py", forms.parent / "model.py"):
        file.write_text(file.read_text() + "\n")
        found.append(sources("gp"))
    assert found[0] == found[1]
    assert len(set(found)) == 4
