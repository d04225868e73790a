"""Any file at all gets findings, or is read: no other exception, no hang, no memory. In every parser of models."""

import json
import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bpmn.decisions import read_decisions
from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.lint import MAX_FINDINGS, lint
from engine.bpmn.parsing import compile_models
from engine.bpmn.reading import processes_in, read
from engine.bpmn.scripts import parse_script
from engine.errors import Finding, ModelRefused
from engine.forms import FormError, load, parse_definition
from tests.engine.drawing import closes, event, extended, gateway, model, node, scope, several, task
from tests.engine.gate_drawing import DECLARED, replaced
from tests.world import sources

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'


def told(xml: bytes) -> list[Finding]:
    """All that the gate says; a model without errors compiles too."""
    try:
        drawn = read(xml)
    except ModelRefused as refused:
        return list(refused.findings)
    findings = lint(drawn, forms={}, known_processes=frozenset(), known_names=frozenset())
    if not any(found.severity == "error" for found in findings):
        compile_models(drawn)
    assert len(findings) <= MAX_FINDINGS + 1
    return findings


def errors(xml: bytes) -> list[Finding]:
    return [finding for finding in told(xml) if finding.severity == "error"]


# --- files that are no models -----------------------------------------------------------------------------------------


def bomb(levels: int) -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))
    return HEAD + f'<!DOCTYPE d [<!ENTITY e0 "ha">{entities}]><d a="&e{levels - 1};">&e{levels - 1};</d>'.encode()


def in_another(encoding: str, xml: bytes) -> bytes:
    return xml.decode().replace("UTF-8", encoding).encode(encoding)


WITH_DOCTYPE = replaced("<bpmn:definitions", '<!DOCTYPE d [<!ENTITY e "x">]><bpmn:definitions')
NOT_MODELS = {
    "nothing": b"",
    "text": b"en tekst",
    "another root": HEAD + b"<html/>",
    "XHTML": HEAD + b'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>hei</p></body></html>',
    "SVG": HEAD + b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "DMN": HEAD + b'<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/"/>',
    "XPDL": HEAD + b'<Package xmlns="http://www.wfmc.org/2008/XPDL2.1"/>',
    "another BPMN": HEAD + b'<definitions xmlns="http://schema.omg.org/spec/BPMN/2.0"/>',
    "JSON": b'{"id": "svar"}',
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "not closed": HEAD + b"<bpmn:definitions>",
    "a doctype": HEAD + b"<!DOCTYPE html><html/>",
    "a bomb": bomb(20),
    "a file to read": HEAD + b'<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><d>&f;</d>',
    "an address to fetch": HEAD + b'<!DOCTYPE d SYSTEM "http://127.0.0.1:1/d.dtd"><d/>',
    "an entity that nobody declares": replaced('name="ask"', 'name="&hemmelig;"'),
    "a doctype in UTF-16": in_another("UTF-16", WITH_DOCTYPE),
    "a bomb in UTF-16": in_another("UTF-16", bomb(20)),
    "a bomb in UTF-16 that says nothing": bomb(20).replace(b' encoding="UTF-8"', b"").decode().encode("utf-16-le"),
    "a doctype in UTF-7": WITH_DOCTYPE.replace(b"UTF-8", b"UTF-7").replace(b"<!DOCTYPE", b"+ADw-!DOCTYPE"),
    "a doctype in EBCDIC": in_another("cp037", WITH_DOCTYPE),
    "a doctype in UTF-32": in_another("UTF-32", WITH_DOCTYPE),
    "too large": b" " * 5_000_001,
    "50 MB": HEAD + b"<a>" + b"x" * 50_000_000 + b"</a>",
    "too deep": HEAD + b"<a>" * 100_000,
    "1000 deep": model("", scope("")).replace(b"<bpmn:subProcess", b"<bpmn:subProcess><bpmn:subProcess" * 1_000),
    "a zero": HEAD + b"<a>\0</a>",
    "half a character": replaced('name="ask"', 'name="å"').replace("å".encode(), "å".encode()[:1]),
    "a surrogate": replaced('name="ask"', 'name="x"').replace(b'"x"', b'"\xed\xa0\x80"'),
    "an unknown encoding": b'<?xml version="1.0" encoding="tull"?><a/>',
    "another encoding": replaced('encoding="UTF-8"', 'encoding="ISO-8859-1"').decode().encode("latin-1"),
    "no process": replaced('isExecutable="true"', 'isExecutable="false"'),
    "two processes": replaced("</bpmn:definitions>", '<bpmn:process id="b" isExecutable="true"/></bpmn:definitions>'),
    "a process without id": replaced('<bpmn:process id="prove"', "<bpmn:process"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_MODELS)
def test_a_file_that_is_no_model_is_refused_in_words(name: str) -> None:
    with pytest.raises(ModelRefused) as refused:
        read(NOT_MODELS[name])
    (finding,) = refused.value.findings
    assert finding.remedy
    assert len(finding.message) < 400


def test_a_text_with_half_a_character_is_refused() -> None:
    with pytest.raises(ModelRefused) as refused:
        read(replaced('name="ask"', 'name="x"').decode().replace('"x"', '"\ud800"'))
    assert refused.value.findings[0].rule == "encoding"


def test_a_byte_order_mark_is_no_reason_to_refuse() -> None:
    assert errors(b"\xef\xbb\xbf" + model("start>ask ask>end", task("ask"))) == []


# --- spoilt models ----------------------------------------------------------------------------------------------------

OWN = sources()[0].xml
VARIED = model(
    "start>g g>ask g>it ask>end it>r r>end closed>end2", gateway("g", "it"),
    task("ask", 'camunda:dueDate="${meeting}"', inner=several(condition="${nrOfCompletedInstances == 2}")),
    closes("closed", "ask"),
    scope("in>out", node("startEvent", "in"), node("endEvent", "out"),
          '<bpmn:standardLoopCharacteristics loopMaximum="2"/>'),
    extended("receiveTask", '<camunda:inputOutput><camunda:outputParameter name="a">${b}</camunda:outputParameter>'
             "</camunda:inputOutput>", attributes='messageRef="m"', identity="r"),
    scope("t>u", event("startEvent", "message", attributes='|messageRef="m"', identity="t"), node("endEvent", "u"),
          attributes='triggeredByEvent="true"', identity="listen"),
    conditions={"g>ask": "${utfall == 1}"}, declared=DECLARED,
)  # fmt: skip


@pytest.mark.parametrize("xml", [OWN, VARIED], ids=["own", "varied"])
def test_a_model_cut_anywhere_gets_findings(xml: bytes) -> None:
    assert errors(VARIED) == []
    for length in range(0, len(xml) - 1, 97):
        assert errors(xml[:length])


def test_random_bytes_get_findings() -> None:
    dice = random.Random(20260518)
    for _ in range(300):
        assert errors(dice.randbytes(dice.randrange(200)))


MUTATIONS: dict[str, Callable[[random.Random, bytearray], None]] = {
    "flip": lambda dice, xml: xml.__setitem__(dice.randrange(len(xml)), dice.randrange(256)),
    "cut": lambda dice, xml: xml.__delitem__(slice(at := dice.randrange(len(xml)), at + dice.randrange(60))),
    "copy": lambda dice, xml: xml.extend(xml[(at := dice.randrange(len(xml))) : at + 60]),
    "swap": lambda dice, xml: xml.__setitem__(
        slice(a := dice.randrange(len(xml)), a + 20), xml[(b := dice.randrange(len(xml))) : b + 20]
    ),
}


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_spoilt_model_gets_findings_or_compiles(kind: str) -> None:
    dice = random.Random(kind)
    for _ in range(250):
        spoilt = bytearray(VARIED)
        for _ in range(dice.randrange(1, 4)):
            MUTATIONS[kind](dice, spoilt)
        told(bytes(spoilt))


#: Names and values that the gate has rules about, put together at random.
_KINDS = st.sampled_from(
    [
        "startEvent",
        "endEvent",
        "task",
        "userTask",
        "manualTask",
        "scriptTask",
        "serviceTask",
        "sendTask",
        "receiveTask",
        "businessRuleTask",
        "callActivity",
        "exclusiveGateway",
        "inclusiveGateway",
        "parallelGateway",
        "eventBasedGateway",
        "complexGateway",
        "subProcess",
        "transaction",
        "adHocSubProcess",
        "boundaryEvent",
        "intermediateCatchEvent",
        "intermediateThrowEvent",
        "sequenceFlow",
        "laneSet",
        "lane",
        "multiInstanceLoopCharacteristics",
        "standardLoopCharacteristics",
        "conditionExpression",
        "timerEventDefinition",
        "timeDate",
        "messageEventDefinition",
        "errorEventDefinition",
        "linkEventDefinition",
        "cancelEventDefinition",
        "conditionalEventDefinition",
        "condition",
        "extensionElements",
        "script",
        "loopCardinality",
        "outputDataItem",
    ]
)
_IDS = st.sampled_from(["a", "b", "c", "d", "", "<root>", "a/b", "${a}", "ns:a"])
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "name",
            "sourceRef",
            "targetRef",
            "attachedToRef",
            "default",
            "messageRef",
            "errorRef",
            "triggeredByEvent",
            "cancelActivity",
            "isInterrupting",
            "loopMaximum",
            "calledElement",
            "camunda:collection",
            "camunda:topic",
            "camunda:type",
            "camunda:dueDate",
            "camunda:expression",
            "camunda:decisionRef",
            "camunda:formKey",
            "language",
        ]
    ),
    _IDS | st.sampled_from(["true", "false", "external", "2"]),
    max_size=6,
)


@st.composite
def _elements(draw: st.DrawFn, depth: int = 0) -> str:
    kind, attributes = draw(_KINDS), draw(_ATTRIBUTES)
    written = "".join(f' {name}="{value.replace("<", "&lt;")}"' for name, value in attributes.items())
    inner = draw(st.lists(_elements(depth=depth + 1), max_size=3)) if depth < 2 else []
    text = draw(st.sampled_from(["", "${a}", "${", "PT1H", "due", "0 0 9 ? * MON", "a = 1"]))
    return f"<bpmn:{kind}{written}>{text}{''.join(inner)}</bpmn:{kind}>"


@settings(max_examples=100, deadline=None)
@given(st.lists(_elements(), max_size=6))
def test_elements_put_together_at_random_get_findings_or_compile(elements: list[str]) -> None:
    told(model("", *elements, declared=DECLARED))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_whatever_is_given_is_refused_or_read(document: bytes | str) -> None:
    for reader in (read, processes_in):
        with pytest.raises(ModelRefused):
            reader(document)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_whatever_is_written_as_a_timer_gets_findings_or_compiles(text: str) -> None:
    kept = "".join(c for c in text if c.isprintable() and c not in "<&")
    for kind in ("timeDate", "timeDuration", "timeCycle"):
        told(model("start>it it>end", event("intermediateCatchEvent", "timer", f"<bpmn:{kind}>{kept}</bpmn:{kind}>")))


# --- large ones -------------------------------------------------------------------------------------------------------

#: Run in a process of its own: tells of each model how many findings, how long they are, and how much time and memory
#: it took until then. The time is the process's own: other work on the machine does not count.
_LARGE = """
import json, resource, time
from tests.engine.test_fuzz_models import LARGE, errors
for name, draw in LARGE.items():
    xml = draw()
    started = time.process_time()
    found = errors(xml)
    seconds = time.process_time() - started
    longest = max((len(f.message) + len(f.element or "") + len(f.name or "") for f in found), default=0)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps([name, len(found), longest, seconds, megabytes]))
"""


def _many(count: int, text: str) -> str:
    return "".join(text.replace("#", str(number)) for number in range(count))


def _chain(count: int) -> bytes:
    flows = "".join(f'<bpmn:sequenceFlow id="f{n}" sourceRef="t{n}" targetRef="t{n + 1}"/>' for n in range(count))
    return model("", _many(count + 1, '<bpmn:task id="t#"/>'), flows, start="")


def _ladder(count: int) -> bytes:
    """Each gateway leads on, and back to the opposite end."""
    flows = [
        f'<bpmn:sequenceFlow id="{way}{n}" sourceRef="t{n}" targetRef="t{to}"><bpmn:conditionExpression>${{x}}'
        "</bpmn:conditionExpression></bpmn:sequenceFlow>"
        for n in range(count)
        for way, to in (("a", min(n + 1, count - 1)), ("b", count - 1 - n))
    ]
    return model("start>t0", _many(count, '<bpmn:exclusiveGateway id="t#"/>'), *flows)


LARGE: dict[str, Callable[[], bytes]] = {
    "10 000 elements": lambda: _chain(5_000),
    "5 000 user tasks with timers": lambda: model("", _many(5_000, task("u#") + closes("b#", "u#")), start=""),
    "100 deep": lambda: model("", _many(100, '<bpmn:subProcess id="s#">') + "</bpmn:subProcess>" * 100, start=""),
    "a ladder": lambda: _ladder(660),
    "100 000 attributes": lambda: model("", node("task", "t", "", _many(100_000, 'a#="1" '))),
    "100 000 extensions": lambda: model("", node("task", "t", "", _many(100_000, 'camunda:a#="1" '))),
    "a huge script": lambda: model("", node("scriptTask", "t", f"<bpmn:script>{'a' * 4_000_000}</bpmn:script>")),
    "a huge condition": lambda: model("start>end", conditions={"start>end": "(" * 4_000_000}),
    "a huge timer": lambda: model(
        "", event("intermediateCatchEvent", "timer", f"<bpmn:timeCycle>{'* ' * 2_000_000}</bpmn:timeCycle>")
    ),
    "a huge id": lambda: model("", node("task", "x" * 4_000_000)),
    "a huge name": lambda: replaced('name="ask"', f'name="{"x" * 4_000_000}"'),
    "the same id 50 000 times": lambda: model("", '<bpmn:task id="x"/>' * 50_000),
    "elements without ids": lambda: model("", "<bpmn:startEvent/>" * 100_000, start=""),
    "200 000 unknown elements": lambda: model("", "<bpmn:tull/>" * 200_000),
    "20 000 flows to nowhere": lambda: model(
        "", _many(20_000, '<bpmn:sequenceFlow id="f#" sourceRef="#" targetRef="nei"/>')
    ),
    "20 000 boundary events": lambda: model(
        "", node("task", "t"), _many(20_000, event("boundaryEvent", "error", "", 'attachedToRef="t"', "b#"))
    ),
    "20 000 flows of a gateway": lambda: model(
        "", gateway("g"), node("task", "t"),
        _many(20_000, '<bpmn:sequenceFlow id="f#" sourceRef="g" targetRef="t"/>'),
    ),
    "20 000 references to themselves": lambda: model(
        "", _many(20_000, '<bpmn:boundaryEvent id="b#" attachedToRef="b#"/>'), start=""
    ),
    "50 MB": lambda: NOT_MODELS["50 MB"],
}  # fmt: skip
#: Large, and sound.
_SOUND = {"10 000 elements", "a ladder", "100 000 attributes", "20 000 boundary events"}


def test_a_large_model_gets_findings_within_seconds_and_little_memory() -> None:
    # A shell in between: what a process is known to have used begins with what its parent used when it was made.
    command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, _LARGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    told_of = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, *_ in told_of] == list(LARGE)
    for name, found, longest, seconds, megabytes in told_of:
        assert (found > 0) == (name not in _SOUND), name
        assert found <= MAX_FINDINGS + 1, name
        assert longest < 1_000, name
        assert seconds < 10, name
        assert megabytes < 500, name


# --- the other parsers ------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
_COMPONENTS = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "key",
            "label",
            "values",
            "valuesKey",
            "validate",
            "properties",
            "conditional",
            "components",
            "path",
            "subtype",
            "text",
        ]
    ),
    _JSON
    | st.sampled_from(["textfield", "number", "radio", "group", "dynamiclist", "datetime", "a", "b"])
    | st.fixed_dictionaries({}, optional={"pattern": st.text(max_size=20), "hide": st.text(max_size=20), "min": _JSON}),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(_JSON | st.fixed_dictionaries({"id": st.just("svar"), "components": st.lists(_COMPONENTS, max_size=6)}))
def test_whatever_is_given_as_a_form_is_refused_or_loaded(definition: object) -> None:
    try:
        load(definition)  # type: ignore[arg-type]
    except FormError as error:
        assert error.message


FORMS = {
    "no JSON": b"{",
    "half a character": b'{"id": "\xff"}',
    "a list": b"[]",
    "too deep to be read": b"[" * 200_000,
    "too large": b" " * 1_000_001,
    "a number of 5 000 digits": b'{"id": "a", "components": [{"key": %s}]}' % (b"9" * 5_000),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_that_is_no_form_is_refused(name: str) -> None:
    with pytest.raises(FormError):
        parse_definition(FORMS[name])


def test_a_form_that_is_too_deep_or_too_long_is_refused() -> None:
    deep: dict[str, object] = {"type": "textfield", "key": "a"}
    for _ in range(200):
        deep = {"type": "group", "label": "G", "components": [deep]}
    for components in ([deep], [{"type": "text", "text": "hei"}] * 2_000):
        with pytest.raises(FormError):
            load({"id": "a", "components": components})


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "(?P<a", "x" * 10_000, "(" * 400 + ")" * 400])
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    field = {"type": "textfield", "key": "a", "validate": {"pattern": pattern}}
    with pytest.raises(FormError):
        load({"id": "a", "components": [field]})


@pytest.mark.parametrize("name", NOT_MODELS)
def test_a_file_that_is_no_decision_is_refused_in_words(name: str) -> None:
    with pytest.raises(ModelRefused) as refused:
        read_decisions(NOT_MODELS[name])
    assert refused.value.findings[0].remedy


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_whatever_is_written_as_an_expression_or_script_is_refused_or_read(source: str) -> None:
    for reader in (parse, parse_script):
        try:
            reader(source)
        except ExpressionError as error:
            assert error.column > 0
