"""Code in every place of a model that holds an expression: refused at the gate, and harmless where it got past it."""

import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

import pytest

from engine.bpmn.execution import Execution
from engine.bpmn.expression_places import expressions_of
from engine.bpmn.expressions import ExpressionError
from engine.bpmn.parsing import compile_models
from engine.bpmn.reading import read
from engine.calendar import Calendar
from engine.errors import ElementFailed, ModelRefused
from tests.engine.drawing import event, extended, gateway, model, node, several, task
from tests.engine.gate_drawing import DECLARED, FORKED, findings, replaced

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 18, 12, tzinfo=UTC)

#: Attacks 1 and 2: what is not in the language, whoever reads it.
ATTACKS = {
    "subclasses": "().__class__.__base__.__subclasses__()[0].__init__.__globals__['os'].getuid()",
    "import": "__import__('os').getuid()",
    "eval": "eval('1')",
    "exec": "exec('a = 1')",
    "open": "open('/etc/passwd')",
    "getattr": "getattr(data, 'a')",
    "globals": "globals()",
    "class": "data.__class__",
    "class by key": "data.a.__globals__",
    "format": "'{0.__class__}'.format(data)",
    "tower": "9**9**9",
    "text times tower": "'a'*10**10",
    "recursion": "(lambda f: f(f))(lambda f: f(f))",
    "comprehension": "[y for y in data]",
    "generator": "(y for y in data)",
    "f-string": "f'{data}'",
    "walrus": "(y := 1)",
    "star": "[*data]",
    "in a branch": "1 if data else __import__('os')",
    "letters that look alike": "ｅval('1')",
    "brackets": "(" * 1_900,
    "a long chain": "-" * 1_900 + "1",
    "too long": "1 + " * 5_000 + "1",
    "an invisible sign": "data\u202e",
    "another template": "#{data}",
    "half an expression": "data ==",
    "two expressions": "1} and ${2",
}
#: The same in scripts, and what only statements could do.
STATEMENTS = {
    "import": "import os", "from import": "from os import system", "while": "while True: pass",
    "for": "for a in data: b = 1", "def": "def f(): f()", "class": "class A: pass", "with": "with data: pass",
    "attribute": "data.a = 1", "key": "data['a'] = 1", "del": "del data", "global": "global data",
    "dunder": "__builtins__ = 1", "try": "try: a = 1", "several": "a = b = 1",
}  # fmt: skip
#: What only running shows: it is in the language, and costs too much.
COSTLY = {"a long text": "'a' * 10000000000", "a long list": "[0] * 10000000000"}


def mapping(kind: str, source: str) -> bytes:
    inner = f'<camunda:{kind} name="a">{source}</camunda:{kind}>'
    return model("start>it it>end", extended("task", f"<camunda:inputOutput>{inner}</camunda:inputOutput>"))


def looping(inner: str, attributes: str = "") -> bytes:
    marker = f"<bpmn:multiInstanceLoopCharacteristics {attributes}>{inner}</bpmn:multiInstanceLoopCharacteristics>"
    return model("start>it it>end", node("task", inner=marker))


def waiting(kind: str, source: str) -> bytes:
    return model("start>it it>end", event("intermediateCatchEvent", "timer", f"<bpmn:{kind}>{source}</bpmn:{kind}>"))


def named(definition: str, attribute: str, source: str, kind: str) -> bytes:
    declared = f'<bpmn:{definition} id="d" name="navn" {attribute}="{source}"/>'
    if attribute == "name":
        declared = f'<bpmn:{definition} id="d" name="{source}"/>'
    return model("start>it", event(kind, definition, attributes=f'|{definition}Ref="d"'), declared=declared)


def correlated(path: str = "", key: str = "") -> bytes:
    properties = f'<camunda:properties><camunda:property name="correlationKey" value="{key}"/></camunda:properties>'
    definition = '<bpmn:messageEventDefinition messageRef="m"/>'
    declared = '<bpmn:message id="m" name="Svar"/>'
    if path:
        declared += (
            '<bpmn:correlationProperty id="c"><bpmn:correlationPropertyRetrievalExpression messageRef="m">'
            f"<bpmn:messagePath>{path}</bpmn:messagePath></bpmn:correlationPropertyRetrievalExpression>"
            "</bpmn:correlationProperty>"
        )
    catching = extended("intermediateCatchEvent", properties if key else "", definition)
    return model("start>it it>end", catching, declared=declared)


def calling(direction: str, source: str) -> bytes:
    mapped = f'<camunda:{direction} sourceExpression="{source}" target="bundet"/>'
    return model("start>it it>end", extended("callActivity", mapped, attributes='calledElement="annen"'))


def listening(moment: str, source: str) -> bytes:
    script = f"<camunda:script>{source}</camunda:script>"
    inner = f'<camunda:executionListener event="{moment}">{script}</camunda:executionListener>'
    return model("start>it it>end", extended("task", inner))


def asking(attribute: str, source: str) -> bytes:
    return model("start>it it>end", task("it", f'camunda:{attribute}="{source}"'))


def asking_with(name: str, source: str) -> bytes:
    return model("start>it it>end", task("it", properties={name: source}))


LOOP = (
    "<bpmn:standardLoopCharacteristics><bpmn:loopCondition>{}</bpmn:loopCondition></bpmn:standardLoopCharacteristics>"
)
COLLECTED = (
    "<bpmn:loopDataInputRef>items</bpmn:loopDataInputRef><bpmn:loopDataOutputRef>all</bpmn:loopDataOutputRef>"
    '<bpmn:outputDataItem id="o" name="{}"/>'
)
#: How to draw a model with something in one place, by the place's name and, after a slash, the way it is written.
PLACES: dict[str, Callable[[str], bytes]] = {
    "conditionExpression": lambda s: model(FORKED, gateway("g", "end"), task("ask"), conditions={"g>ask": s}),
    "conditionExpression/of a task": lambda s: model("start>t t>end", node("task", "t"), conditions={"t>end": s}),
    "loopCondition": lambda s: model("start>it it>end", node("task", inner=LOOP.format(s))),
    "camunda:collection": lambda s: looping("", f'camunda:collection="{s}"'),
    "loopDataInputRef": lambda s: looping(f"<bpmn:loopDataInputRef>{s}</bpmn:loopDataInputRef>"),
    "loopCardinality": lambda s: looping(f"<bpmn:loopCardinality>{s}</bpmn:loopCardinality>"),
    "completionCondition": lambda s: model("start>it it>end", node("task", inner=several(condition=s))),
    "outputDataItem": lambda s: looping(COLLECTED.format(s)),
    "timeDate": lambda s: waiting("timeDate", s),
    "timeDuration": lambda s: waiting("timeDuration", s),
    "timeCycle": lambda s: waiting("timeCycle", s),
    "condition": lambda s: model(
        "start>it it>end", event("intermediateCatchEvent", "conditional", f"<bpmn:condition>{s}</bpmn:condition>")
    ),
    "message name": lambda s: named("message", "name", s, "intermediateCatchEvent"),
    "message name/thrown": lambda s: named("message", "name", s, "intermediateThrowEvent"),
    "signal name": lambda s: named("signal", "name", s, "endEvent"),
    "error name": lambda s: named("error", "errorCode", s, "endEvent"),
    "escalation name": lambda s: named("escalation", "escalationCode", s, "endEvent"),
    "correlation": lambda s: correlated(key=s),
    "correlation/of the standard": lambda s: correlated(path=s),
    "camunda:in": lambda s: calling("in", s),
    "camunda:out": lambda s: calling("out", s),
    "camunda:inputParameter": lambda s: mapping("inputParameter", s),
    "camunda:outputParameter": lambda s: mapping("outputParameter", s),
    "camunda:executionListener": lambda s: listening("start", s),
    "camunda:executionListener/end": lambda s: listening("end", s),
    "script": lambda s: model("start>it it>end", node("scriptTask", inner=f"<bpmn:script>{s}</bpmn:script>")),
    "camunda:expression": lambda s: model(
        "start>it it>end", node("serviceTask", attributes=f'camunda:expression="{s}"')
    ),
    "camunda:dueDate": lambda s: asking("dueDate", s),
    "camunda:followUpDate": lambda s: asking("followUpDate", s),
    "camunda:assignee": lambda s: asking("assignee", s),
    "camunda:candidateGroups": lambda s: asking("candidateGroups", s),
    "camunda:priority": lambda s: asking("priority", s),
    "property approver": lambda s: asking_with("approver", s),
    "property title": lambda s: asking_with("title", s),
    "property form": lambda s: asking_with("form", s),
}  # fmt: skip
#: Read and checked, but never evaluated.
INERT = {"camunda:followUpDate", "camunda:priority"}
CALLED = model("start>it it>end", node("scriptTask", inner="<bpmn:script>a = bundet</bpmn:script>"), process="annen")


def is_script(place: str) -> bool:
    return place.startswith(("script", "camunda:executionListener"))


def wrapped(place: str, attack: str) -> str:
    return f"a = {attack}" if is_script(place) else f"${{{attack}}}"


def drawn(place: str, source: str) -> bytes:
    return PLACES[place](escape(source))


def attacks(place: str) -> Iterator[str]:
    """Everything that is tried in a place, as it is written there."""
    yield from (wrapped(place, attack) for attack in ATTACKS.values())
    if is_script(place):
        yield from STATEMENTS.values()


# --- the places -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_found_with_what_is_written_there(place: str) -> None:
    source = "a = ssu" if is_script(place) else "${ssu}"
    (found,) = [p for p in expressions_of(read(drawn(place, source)).process) if "ssu" in p.source]
    assert found.place == place.partition("/")[0]
    assert found.names() == {"ssu"}
    assert "ssu" in read(drawn(place, source)).names_read


#: Where an expression could stand that nobody thought of: any word that the code which reads models knows, as an
#: attribute, a part or a property of any element.
_READING = ("parsing", "reading", "event_definitions")
_WAYS = ("attribute", "camunda attribute", "part", "property", "part of a definition")
_HOSTS = (
    "task", "userTask", "serviceTask", "scriptTask", "businessRuleTask", "sendTask", "receiveTask", "callActivity",
    "exclusiveGateway", "intermediateCatchEvent", "intermediateThrowEvent",
)  # fmt: skip
_CODE_WORD = "${nowhere.secret()}"


def words_of_the_code() -> list[str]:
    texts = [(ROOT / "engine" / "bpmn" / f"{name}.py").read_text() for name in _READING]
    constants = (node.value for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    named = (text for text in constants if isinstance(text, str) and not re.search(r"\s", text))
    return sorted({word for text in named for word in re.findall("[a-z][A-Za-z]+", text)})


def put(word: str, way: str, host: str) -> bytes:
    """The word holds code there, in an element that runs otherwise."""
    attributes = {
        "serviceTask": 'camunda:expression="${1}"', "businessRuleTask": 'camunda:decisionRef="d"',
        "sendTask": 'messageRef="m"', "receiveTask": 'messageRef="m"', "callActivity": 'calledElement="annen"',
    }.get(host, "")  # fmt: skip
    inner = {
        "scriptTask": "<bpmn:script>a = 1</bpmn:script>",
        "intermediateCatchEvent": '<bpmn:messageEventDefinition messageRef="m"><!--in--></bpmn:messageEventDefinition>',
        "intermediateThrowEvent": '<bpmn:signalEventDefinition signalRef="s"><!--in--></bpmn:signalEventDefinition>',
    }.get(host, "")
    extension = ""
    prefix = "camunda:" if way == "camunda attribute" else ""
    if "attribute" in way and f"{prefix}{word}=" not in attributes and f"{prefix}{word}" != "id":
        attributes += f' {prefix}{word}="{_CODE_WORD}"'
    elif way == "part":
        inner += f"<bpmn:{word}>{_CODE_WORD}</bpmn:{word}>"
    elif way == "part of a definition":
        inner = inner.replace("<!--in-->", f"<bpmn:{word}>{_CODE_WORD}</bpmn:{word}>")
    elif way == "property":
        listed = f'<camunda:property name="{word}" value="{_CODE_WORD}"/>'
        extension = f"<camunda:properties>{listed}</camunda:properties>"
    drawn = extended(host, extension, inner, attributes)
    return model("start>it it>end", drawn, declared=DECLARED)


@pytest.mark.parametrize("host", _HOSTS)
def test_no_place_is_left_out(host: str) -> None:
    words = words_of_the_code()
    # The others call nothing: there is nothing more to check and read.
    called = [CALLED] if host == "callActivity" else []
    assert {"conditionExpression", "collection", "topic", "dueDate", "messageRef", "correlationKey"} <= set(words)
    for word in words:
        for way in _WAYS:
            xml = put(word, way, host)
            if findings(xml, *called):
                continue
            try:
                live(xml, called)
            except (ElementFailed, ExpressionError) as error:
                assert "secret" not in str(error), (word, way)


# --- at the gate ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_attacks_are_refused_at_the_gate_with_their_column(place: str) -> None:
    for attack in attacks(place):
        told = [f for f in findings(drawn(place, attack), CALLED) if f.rule == "expression"]
        assert told, attack
        assert all("column" in f.message and f.line and f.element and f.remedy for f in told)
        assert all(len(f.message) < 500 for f in told)


@pytest.mark.parametrize("place", PLACES)
def test_an_entity_is_refused_at_the_gate(place: str) -> None:
    with pytest.raises(ModelRefused):
        read(drawn(place, "${MARK}").replace(b"MARK", b"&hemmelig;"))
    with_doctype = replaced("<bpmn:definitions", '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><bpmn:definitions',
                            drawn(place, "${MARK}"))  # fmt: skip
    with pytest.raises(ModelRefused):
        read(with_doctype.replace(b"MARK", b"&e;"))


# --- past the gate ----------------------------------------------------------------------------------------------------

#: What would be heard if code ran. The hook can't be taken away again, so it is silent outside these tests.
_heard: list[str] = []
_listening = False
_CODE = ("exec", "import", "open", "os.", "subprocess.", "socket.", "code.", "marshal.", "pickle.")


def _hook(happened: str, arguments: tuple[object, ...]) -> None:
    # Python looks for the source of a text that it can't parse in a file of this name.
    if _listening and happened.startswith(_CODE) and arguments[:1] != ("<unknown>",):
        _heard.append(f"{happened} {arguments}")


sys.addaudithook(_hook)


@contextmanager
def nothing_runs() -> Iterator[None]:
    """In here no code is run, imported or read, and no file, process or address opened."""
    global _listening
    _heard.clear()
    _listening = True
    try:
        yield
    finally:
        _listening = False
    assert _heard == []


def live(xml: bytes, called: Sequence[bytes] = (CALLED,)) -> None:
    """Run a model as the engine does, to its end, without asking the gate."""
    specification = compile_models(read(xml), [read(other) for other in called])
    data = {"items": [1, 2], "data": {"a": 1}, "bundet": 1, "utfall": 1}
    execution = Execution.start(specification, data, facts={}, calendar=Calendar(), now=NOW)
    execution.advance()
    for waits in execution.waiting():
        element = waits.element
        if element.due_date:
            execution.value_at(waits.token, element.due_date)
        for text in (
            element.assignee,
            element.candidate_groups,
            *map(element.properties.get, ("approver", "title", "form")),
        ):
            execution.text_at(waits.token, text)
        execution.complete(waits.token, {})
    execution.now += timedelta(days=1)
    execution.advance()


@pytest.mark.parametrize("place", PLACES)
def test_what_is_harmless_runs_in_every_place(place: str) -> None:
    harmless = {
        "loopCardinality": "2", "camunda:collection": "items", "loopDataInputRef": "items", "loopCondition": "False",
        "timeDuration": "'PT1H'", "timeCycle": "'R1/PT1H'", "timeDate": "'2026-05-18'", "error name": "'feil'",
    }  # fmt: skip
    xml = drawn(place, wrapped(place, harmless.get(place, "utfall == 1")))
    if place == "error name":
        with pytest.raises(ElementFailed, match="Nothing catches the error feil"):
            live(xml)
    else:
        live(xml)


@pytest.mark.parametrize("place", PLACES)
def test_attacks_that_got_past_the_gate_fail_and_run_nothing(place: str) -> None:
    for attack in attacks(place):
        xml = drawn(place, attack)
        live(drawn("script", "a = 1"))  # whatever is loaded late is loaded now
        with nothing_runs():
            if place in INERT:
                live(xml)
                continue
            with pytest.raises((ElementFailed, ExpressionError)):
                live(xml)


@pytest.mark.parametrize("place", [place for place in PLACES if place not in INERT])
def test_what_costs_too_much_fails_where_it_is_run(place: str) -> None:
    for costly in COSTLY.values():
        with pytest.raises((ElementFailed, ExpressionError)):
            live(drawn(place, wrapped(place, costly)))


# --- nothing of ours runs code ----------------------------------------------------------------------------------------

_RUNS_CODE = {"eval", "exec", "compile", "__import__"}
_LOADS_CODE = {"pickle", "marshal", "shelve", "dill", "code", "codeop", "runpy", "imp"}


def _suspects(path: Path) -> Iterator[str]:
    for found in ast.walk(ast.parse(path.read_text())):
        if isinstance(found, ast.Name) and found.id in _RUNS_CODE:
            yield f"{path.name}:{found.lineno} {found.id}"
        if isinstance(found, ast.Import):
            yield from (f"{path.name} {name.name}" for name in found.names if name.name.split(".")[0] in _LOADS_CODE)
        if isinstance(found, ast.ImportFrom) and (found.module or "").split(".")[0] in _LOADS_CODE:
            yield f"{path.name} {found.module}"
        if isinstance(found, ast.Attribute) and isinstance(found.value, ast.Name) and found.value.id == "builtins":
            yield f"{path.name}:{found.lineno} builtins.{found.attr}"


def test_no_package_of_ours_runs_or_unpickles_code() -> None:
    files = [
        path for package in ("engine", "agreements", "notifications", "web") for path in (ROOT / package).rglob("*.py")
    ]
    assert len(files) > 100
    assert [suspect for path in files for suspect in _suspects(path)] == []
    assert list(_suspects(Path(__file__))) == []


def test_the_look_for_running_code_finds_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import pickle\nfrom marshal import loads\neval('1')\nexec('1')\ncompile('1', '', 'eval')\n__import__('os')\n"
    )
    assert len(list(_suspects(bad))) == 6
