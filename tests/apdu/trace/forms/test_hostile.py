"""Whatever the bytes are, a form gives items or FormatError, and no more items than bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.errors import FormatError
from apdu.trace.detection import FORMS, Form, form_of
from apdu.trace.forms.text import HEAD_SIZE
from apdu.trace.model import Exchange, Item
from tests.apdu.trace.forms.samples import CAPTURES, FOLDER, SAMPLES

FOREIGN = FORMS[1:]
every_form = pytest.mark.parametrize("form", FOREIGN, ids=lambda form: form.name)
RAW = {form.name: [sample.raw for sample in SAMPLES if sample.form == form.name] for form in FOREIGN}
RAW["gsmtap"] = [(FOLDER / name).read_bytes() for name in CAPTURES]


def read(form: Form, raw: bytes) -> list[Item] | None:
    """All items; None after FormatError."""
    try:
        return list(form.read([raw]))
    except FormatError:
        return None


@st.composite
def damaged(draw: st.DrawFn, form: Form) -> bytes:
    """A piece of a sample with bytes changed, left out, put in from elsewhere, and said twice."""
    raw = bytearray(draw(st.sampled_from(RAW[form.name])))
    del raw[: draw(st.sampled_from([0, 0, 0, len(raw) // 3]))]
    for _ in range(draw(st.integers(1, 6))):
        at, size = draw(st.integers(0, len(raw))), draw(st.integers(0, 40))
        other = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.sampled_from([0, size]))] = draw(
            st.sampled_from([b"", bytes(raw[other : other + size])]) | st.binary(max_size=8)
        )
    return bytes(raw)


def check(form: Form, raw: bytes) -> None:
    items = read(form, raw)
    if items is None:
        assert form.name == "gsmtap"
        return
    assert len(items) <= len(raw) + 1
    for item in items:
        assert not isinstance(item, Exchange) or (item.command and (item.response is None or len(item.response) > 1))


@every_form
@settings(max_examples=60)
@given(data=st.data())
def test_damage_gives_items_or_format_error(form: Form, data: st.DataObject) -> None:
    check(form, data.draw(damaged(form)))


@every_form
@settings(max_examples=40)
@given(raw=st.binary(max_size=300))
def test_noise_gives_items_or_format_error(form: Form, raw: bytes) -> None:
    form.detect(raw)
    check(form, raw)


@every_form
@settings(max_examples=40)
@given(data=st.data())
def test_a_trace_may_end_anywhere(form: Form, data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(RAW[form.name]))
    cut = raw[: data.draw(st.integers(4, len(raw)))]
    items, whole = read(form, cut), read(form, raw)
    assert items is not None
    assert whole is not None
    answered = [item for item in items if isinstance(item, Exchange) and item.response is not None]
    assert answered[:-1] == [item for item in whole if isinstance(item, Exchange)][: max(len(answered) - 1, 0)]


@settings(max_examples=100)
@given(raw=st.binary(max_size=200))
def test_noise_is_recognized_as_something_or_refused(raw: bytes) -> None:
    if any(form.detect(raw) for form in FORMS):
        assert form_of(raw) in FORMS
        return
    with pytest.raises(FormatError, match="cardpeek, apdu4j, pcsc-spy"):
        form_of(raw)


@every_form
def test_a_line_without_end_is_neither_kept_nor_taken_for_a_command(form: Form) -> None:
    start = {"pcscd": b"00000001 APDU: ", "cardpeek": b"C:", "gp": b"A>> T=1 (4+0000) "}.get(form.name, b"> ")
    endless = [start, *[b"00" * 32768] * 64]
    if form.name == "gsmtap":
        with pytest.raises(FormatError):
            list(form.read(endless))
    else:
        assert not [item for item in form.read(endless) if isinstance(item, Exchange)]


def test_detection_looks_at_the_head_alone() -> None:
    with pytest.raises(FormatError, match="no trace of a form that is known"):
        form_of(b"\n" * HEAD_SIZE + b"# cardpeek trace file\n")


@pytest.mark.parametrize("form", FOREIGN, ids=lambda form: form.name)
def test_remarks_on_damage_do_not_quote_bytes_that_may_be_a_pin(form: Form) -> None:
    for raw in RAW[form.name]:
        for part in (b"00 20 00 81 08 31 ", b"0020008108 31", b"00200081083", b"00200081 08 31"):
            broken = raw.replace(part, part[:-2] + b"Z" + part[-1:])
            texts = [getattr(item, "text", "") for item in read(form, broken) or []]
            assert not any("3233343" in text.replace(" ", "") for text in texts)
