"""The import gate: what is not proven to run is refused, with the element, its line and what to do."""

import random
from collections.abc import Callable

import pytest

from engine.bpmn.lint import RUNS
from engine.bpmn.reading import read
from engine.deployments import Source, check
from engine.errors import Finding, ModelRefused
from tests.engine.drawing import call, closes, gateway, model, several, task, timer
from tests.engine.lab import FORM
from tests.world import sources

ASK = task("ask", 'camunda:dueDate="${meeting}"')
HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'


def findings(*models: bytes) -> list[Finding]:
    drawn = [Source(xml=xml, forms={"svar": FORM}) for xml in models]
    return [f for _, found in check(drawn) for f in found if f.severity == "error"]


def alone(xml: str, flows: str = "start>it it>end", **given: dict[str, str]) -> bytes:
    return model(flows, xml, **given)


def element(kind: str, inner: str = "", attributes: str = "") -> bytes:
    return alone(f'<bpmn:{kind} id="it" {attributes}>{inner}</bpmn:{kind}>')


def event(kind: str, definition: str, inner: str = "", attributes: str = "") -> str:
    kept = f"bpmn:{definition}EventDefinition"
    return f'<bpmn:{kind} id="it" {attributes}><{kept}>{inner}</{kept}></bpmn:{kind}>'


def replaced(old: str, new: str, base: bytes | None = None) -> bytes:
    text = (base or model("start>ask ask>end", ASK)).decode()
    assert old in text
    return text.replace(old, new).encode()


START, END = '<bpmn:startEvent id="start"/>', '<bpmn:endEvent id="end"/>'
SUB = '<bpmn:startEvent id="in"/><bpmn:endEvent id="out"/><bpmn:sequenceFlow id="f" sourceRef="in" targetRef="out"/>'
#: What is drawn, the rule that refuses it, and the element that the finding names.
REFUSED: dict[str, tuple[bytes, str, str]] = {
    **{
        kind: (element(kind), "element", "it")
        for kind in (
            "task",
            "scriptTask",
            "serviceTask",
            "sendTask",
            "receiveTask",
            "manualTask",
            "businessRuleTask",
            "inclusiveGateway",
            "eventBasedGateway",
            "complexGateway",
            "intermediateThrowEvent",
            "transaction",
            "adHocSubProcess",
        )
    },
    "event sub-process": (element("subProcess", SUB, 'triggeredByEvent="true"'), "element", "it"),
    **{
        f"{definition} start": (
            replaced(START, START.replace("/>", f"><bpmn:{definition}EventDefinition/></bpmn:startEvent>")),
            "event",
            "start",
        )
        for definition in ("timer", "message", "signal", "conditional")
    },
    **{
        f"{definition} end": (
            replaced(END, END.replace("/>", f"><bpmn:{definition}EventDefinition/></bpmn:endEvent>")),
            "event",
            "end",
        )
        for definition in ("message", "signal", "error", "escalation", "terminate", "compensate")
    },
    **{
        f"{definition} catch": (alone(event("intermediateCatchEvent", definition)), "event", "it")
        for definition in ("message", "signal", "conditional", "link")
    },
    **{
        f"{definition} boundary": (
            model(
                "start>ask ask>end it>end", ASK, event("boundaryEvent", definition, attributes='attachedToRef="ask"')
            ),
            "event",
            "it",
        )
        for definition in ("message", "signal", "error", "escalation", "conditional")
    },
    "a catch event of nothing": (element("intermediateCatchEvent"), "event", "it"),
    "a duration": (
        alone(event("intermediateCatchEvent", "timer", "<bpmn:timeDuration>P1D</bpmn:timeDuration>")),
        "timer",
        "it",
    ),
    "a cycle": (
        alone(event("intermediateCatchEvent", "timer", "<bpmn:timeCycle>R3/P1D</bpmn:timeCycle>")),
        "timer",
        "it",
    ),
    "a non-interrupting timer": (
        replaced(
            'attachedToRef="ask"',
            'attachedToRef="ask" cancelActivity="false"',
            model("start>ask ask>end it>end", ASK, closes("it", "ask")),
        ),
        "boundary",
        "it",
    ),
    "a boundary timer at another date": (
        model("start>ask ask>end it>end", ASK, closes("it", "ask", "${meeting}")),
        "boundary",
        "it",
    ),
    "a boundary timer on a call": (
        model("start>c c>end it>end", call("c", "prove2"), closes("it", "c")),
        "boundary",
        "it",
    ),
    "a timer that closes a task without a date": (
        model("start>ask ask>end it>end", task("ask"), closes("it", "ask")),
        "due",
        "ask",
    ),
    "a standard loop": (
        model("start>ask ask>end", task("ask", inner="<bpmn:standardLoopCharacteristics/>")),
        "loop",
        "ask",
    ),
    "several calls": (
        replaced("</bpmn:callActivity>", several() + "</bpmn:callActivity>", model("start>c c>end", call("c", "x"))),
        "multi",
        "c",
    ),
    "several sub-processes": (element("subProcess", several() + SUB), "multi", "it"),
    "several of nothing": (model("start>ask ask>end", task("ask", inner=several(""))), "multi", "ask"),
    "no start": (replaced(START, ""), "start", "prove"),
    "two starts": (replaced(START, START + START.replace('"start"', '"start2"')), "start", "prove"),
    "no end": (model("start>ask ask>ask", ASK), "end", "prove"),
    "a gateway without default": (
        model("start>g g>ask g>end ask>end", gateway("g"), ASK, conditions={"g>ask": "${a}", "g>end": "${b}"}),
        "default",
        "g",
    ),
    "a flow without condition": (model("start>g g>ask g>end ask>end", gateway("g", "end"), ASK), "condition", "g_ask"),
    "a condition on a default flow": (
        model("start>g g>ask g>end ask>end", gateway("g", "end"), ASK, conditions={"g>ask": "${a}", "g>end": "${b}"}),
        "condition",
        "g_end",
    ),
    "a default that is not there": (
        replaced(
            'default="g_end"',
            'default="g_nowhere"',
            model(
                "start>g g>ask g>end ask>end", gateway("g", "end"), ASK, conditions={"g>ask": "${a}", "g>end": "${b}"}
            ),
        ),
        "default",
        "g",
    ),
    "a condition after a task": (
        model("start>ask ask>end", ASK, conditions={"ask>end": "${utfall}"}),
        "condition",
        "ask_end",
    ),
    "a condition after a parallel gateway": (
        model("start>g g>ask g>end ask>end", gateway("g", kind="parallel"), ASK, conditions={"g>ask": "${a}"}),
        "condition",
        "g_ask",
    ),
    "a condition on the only way": (
        model("start>g g>ask ask>end", gateway("g"), ASK, conditions={"g>ask": "${a}"}),
        "condition",
        "g_ask",
    ),
    "two flows out of a task": (model("start>ask ask>end ask>end2", ASK), "several-flows", "ask"),
    "two flows out of the start": (
        model("start>ask start>other ask>end other>end", ASK, task("other")),
        "several-flows",
        "start",
    ),
    "a flow to nowhere": (replaced('targetRef="end"', 'targetRef="nowhere"'), "flow", "ask_end"),
    "a task nothing leads to": (model("start>ask ask>end alone>end", ASK, task("alone")), "unreachable", "alone"),
    "a task that leads nowhere": (model("start>g g>ask g>end", gateway("g", kind="parallel"), ASK), "dead-end", "ask"),
    "a form that is not there": (model("start>ask ask>end", task("ask", 'camunda:formKey="mangler"')), "form", "ask"),
    "a task for nobody": (replaced("<bpmn:flowNodeRef>ask</bpmn:flowNodeRef>", ""), "performer", "ask"),
    "a call of what is not deployed": (model("start>c c>end", call("c", "mangler")), "call", "c"),
    "a call of itself": (model("start>c c>end", call("c", "prove")), "call", "c"),
    "the same id twice": (replaced('id="ask_end"', 'id="ask"'), "id", "ask"),
    **{
        f"expression {source}": (
            model("start>ask ask>end", task("ask", f'camunda:dueDate="{source}"')),
            "expression",
            "ask",
        )
        for source in (
            "${__import__('os')}",
            "${open('x')}",
            "${meeting.__class__}",
            "${[x for x in y]}",
            "${lambda: 1}",
            "${(}",
            "${unknown_function(1)}",
            "${meeting.replace(1)}",
            "${f'{meeting}'}",
            "",
        )
        if source
    },
    "an expression in a timer": (alone(timer("it", "${no_such_function(1)}")), "expression", "it"),
    "an expression in a condition": (
        model("start>g g>ask g>end ask>end", gateway("g", "end"), ASK, conditions={"g>ask": "${utfall ==}"}),
        "expression",
        "g_ask",
    ),
    "an expression in a collection": (
        model("start>ask ask>end", task("ask", inner=several("${items.append(1)}"))),
        "expression",
        "ask",
    ),
    "an expression in a completion condition": (
        model("start>ask ask>end", task("ask", inner=several(condition="${exec('1')}"))),
        "expression",
        "ask",
    ),
    "an expression that a call binds": (
        model("start>c c>end", call("c", "mangler", meeting="${eval('1')}")),
        "expression",
        "c",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_proven_is_refused(name: str) -> None:
    xml, rule, where = REFUSED[name]
    found = [f for f in findings(xml) if (f.rule, f.element) == (rule, where)]
    assert found, findings(xml)
    lines = xml.decode().splitlines()
    for finding in found:
        assert finding.message
        assert finding.remedy
        assert finding.line is not None
        assert f'"{where}"' in lines[finding.line - 1], f"line {finding.line} does not hold {where}"


def test_what_is_proven_is_let_through() -> None:
    drawn = model(
        "start>g g>ask g>later ask>end later>c c>s s>p p>a p>b a>j b>j j>end shut>end2",
        gateway("g", "ask"),
        ASK.replace("</bpmn:userTask>", several() + "</bpmn:userTask>"),
        closes("shut", "ask"),
        timer("later", "${meeting}"),
        call("c", "called", meeting="${ssu}"),
        f'<bpmn:subProcess id="s">{SUB}</bpmn:subProcess>',
        gateway("p", kind="parallel"),
        gateway("j", kind="parallel"),
        task("a"),
        task("b"),
        conditions={"g>later": "${utfall == 'senere'}"},
    )
    assert findings(drawn, model("start>end", process="called")) == []


def test_every_kind_of_element_that_is_let_through_is_run_by_some_test() -> None:
    drawn = b"".join(source.xml for source in sources())
    tests = {"subProcess"}  # test_process_instances.py: an embedded sub-process runs as drawn
    assert {kind for kind in RUNS if f"bpmn:{kind} ".encode() not in drawn} == tests


def test_the_projects_own_models_are_let_through() -> None:
    assert [f for _, found in check(sources()) for f in found] == []


# --- files that are no models -----------------------------------------------------------------------------------------


def bomb(levels: int) -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))
    return HEAD + f'<!DOCTYPE d [<!ENTITY e0 "ha">{entities}]><d a="&e{levels - 1};">&e{levels - 1};</d>'.encode()


def in_utf16(xml: bytes) -> bytes:
    return xml.decode().replace("UTF-8", "UTF-16").encode("utf-16")


NOT_MODELS = {
    "nothing": b"",
    "text": b"en tekst",
    "another root": HEAD + b"<html/>",
    "not closed": HEAD + b"<bpmn:definitions>",
    "a doctype": HEAD + b"<!DOCTYPE html><html/>",
    "a bomb": bomb(20),
    "a file to read": HEAD + b'<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><d>&f;</d>',
    "an address to fetch": HEAD + b'<!DOCTYPE d SYSTEM "http://127.0.0.1:1/d.dtd"><d/>',
    "a doctype in UTF-16": in_utf16(replaced("<bpmn:definitions", '<!DOCTYPE d [<!ENTITY e "x">]><bpmn:definitions')),
    "a bomb in UTF-16": in_utf16(bomb(20)),
    "too large": b" " * 5_000_001,
    "too deep": HEAD + b"<a>" * 100_000,
    "a zero": HEAD + b"<a>\0</a>",
    "an unknown encoding": b'<?xml version="1.0" encoding="tull"?><a/>',
    "another encoding": replaced('encoding="UTF-8"', 'encoding="ISO-8859-1"')
    .decode()
    .replace('name="ask"', 'name="å"')
    .encode("latin-1"),
    "no process": replaced('isExecutable="true"', 'isExecutable="false"'),
    "a process without id": replaced('<bpmn:process id="prove"', "<bpmn:process"),
}


@pytest.mark.parametrize("name", NOT_MODELS)
def test_a_file_that_is_no_model_is_refused_in_words(name: str) -> None:
    with pytest.raises(ModelRefused) as refused:
        read(NOT_MODELS[name])
    assert refused.value.findings[0].remedy


def refused_or_read(xml: bytes) -> None:
    for model_read, found in check([Source(xml=xml, forms={"svar": FORM})]):
        assert model_read is not None or found


def test_random_bytes_are_refused_and_never_crash() -> None:
    dice = random.Random(20260518)
    for _ in range(300):
        refused_or_read(dice.randbytes(dice.randrange(200)))


MUTATIONS: dict[str, Callable[[random.Random, bytearray], None]] = {
    "flip": lambda dice, xml: xml.__setitem__(dice.randrange(len(xml)), dice.randrange(256)),
    "cut": lambda dice, xml: xml.__delitem__(slice(at := dice.randrange(len(xml)), at + dice.randrange(60))),
    "copy": lambda dice, xml: xml.extend(xml[(at := dice.randrange(len(xml))) : at + 60]),
    "swap": lambda dice, xml: xml.__setitem__(
        slice(a := dice.randrange(len(xml)), a + 20), xml[(b := dice.randrange(len(xml))) : b + 20]
    ),
}


@pytest.mark.parametrize("kind", MUTATIONS)
def test_spoilt_models_are_refused_or_read_and_never_crash(kind: str) -> None:
    whole = REFUSED["a boundary timer at another date"][0]
    dice = random.Random(kind)
    for _ in range(150):
        spoilt = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            MUTATIONS[kind](dice, spoilt)
        refused_or_read(bytes(spoilt))
