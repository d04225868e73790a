"""The models that the property test of all acts lives through, each in two versions.

Together they have a survey with a closing timer, parallel branches, a sub-process, a call, loops back, a script that
fails for some answers, a service task, messages waited for, and timers on and between elements.
"""

from collections.abc import Mapping

from tests.engine.drawing import call, closes, gateway, model, scope, several, task
from tests.engine.drawing_events import catches_error, error, message, service, waits_for
from tests.engine.lab import WITH_FORM

DUE = 'camunda:dueDate="${meeting}"'
BEFORE = 'camunda:dueDate="${working_days_before(meeting, 3)}"'
WHO = 'camunda:assignee="${item.who}"'
#: Fails for tall = 0; only what is read becomes a variable.
DIVIDES = "<bpmn:script>kvote = 10 / tall</bpmn:script>"
AGAIN = "${utfall == 'igjen'}"


def timed(identity: str, host: str, kind: str, when: str, *, interrupting: bool) -> str:
    """A boundary timer of any kind: `Date`, `Duration` or `Cycle`."""
    return (
        f'<bpmn:boundaryEvent id="{identity}" attachedToRef="{host}" cancelActivity="{str(interrupting).lower()}">'
        f"<bpmn:timerEventDefinition><bpmn:time{kind}>{when}</bpmn:time{kind}></bpmn:timerEventDefinition>"
        "</bpmn:boundaryEvent>"
    )


def script(identity: str) -> str:
    """A script task that divides by `tall`."""
    return f'<bpmn:scriptTask id="{identity}">{DIVIDES}</bpmn:scriptTask>'


def hearing(*, checks: bool) -> bytes:
    """A draft, then a survey beside a sub-process, a script, and a loop back. The new version checks before the end."""
    nodes = [
        task("draft", f"{WITH_FORM} {BEFORE}"),
        gateway("fork", kind="parallel"),
        task("ask", f"{WITH_FORM} {DUE} {WHO}", several(), {"output": "svar", "approver": "${item.approver}"}),
        closes("shut", "ask"),
        gateway("asked"),
        scope("in>read read>out", "<bpmn:startEvent id='in'/>",
              task("read", f'{WITH_FORM} camunda:dueDate="${{frist}}"'), "<bpmn:endEvent id='out'/>", identity="inner"),
        timed("nudge", "inner", "Duration", "PT50H", interrupting=False),
        task("nudged"),
        gateway("join", kind="parallel"),
        script("calc"),
        gateway("which", "end"),
    ]  # fmt: skip
    flows = "start>draft draft>fork fork>ask ask>asked shut>asked asked>join fork>inner inner>join nudge>nudged "
    flows += "nudged>end2 join>calc calc>which which>draft which>end"
    if checks:
        flows = flows.replace("calc>which", "calc>check check>which")
        nodes += [task("check", f"{WITH_FORM} {DUE}"), closes("late", "draft", "${meeting}"), gateway("begun")]
        flows = flows.replace("draft>fork", "draft>begun late>begun begun>fork")
    return model(flows, *nodes, process="horing", conditions={"which>draft": AGAIN})


def caller(*, renamed: bool) -> bytes:
    """A call, a function, a message waited for, and a last step that closes. The new version renames the last step."""
    last = "sist" if renamed else "last"
    return model(
        f"start>c c>do do>hear hear>{last} {last}>end shut>end tom>other other>end over>other",
        call("c", "kalt", meeting="${meeting}"),
        timed("over", "c", "Date", "${working_days_after(meeting, 4)}", interrupting=True),
        service("do", "regn", a="${tall}"),
        catches_error("tom", "do", "tom"),
        waits_for("hear", "message", "svar", correlation="${str(sak)}"),
        task(last, f"{WITH_FORM} {DUE}"),
        closes("shut", last),
        task("other", WITH_FORM),
        declared=message("svar") + error("tom"),
        process="kaller",
    )  # fmt: skip


def called(*, timed_sum: bool) -> bytes:
    """A survey in turn, a sum with an approver, and a script. The new version's sum closes."""
    return model(
        f"start>each each>sum sum>calc calc>end {'shut>end' if timed_sum else ''}",
        task("each", f"{WITH_FORM} {WHO}", several(sequential=True, condition="${nrOfCompletedInstances &gt; 2}")),
        task("sum", f"{WITH_FORM} {DUE}", properties={"approver": "person3"}),
        script("calc"),
        *([closes("shut", "sum")] if timed_sum else []),
        process="kalt",
    )


def rounds(*, looks: bool) -> bytes:
    """A sub-process for each item, then a message or time, and a loop back; another message breaks everything off.

    In the new version each item is looked at once more.
    """
    inside = [task("vurder", f"{WITH_FORM} {DUE} {WHO}"), script("del"), "<bpmn:startEvent id='in'/>"]
    flows = "in>vurder vurder>del del>out"
    if looks:
        inside.append(task("se", f"{WITH_FORM} {WHO}"))
        flows = "in>vurder vurder>del del>se se>out"
    marker = '<bpmn:multiInstanceLoopCharacteristics camunda:collection="${items}" camunda:elementVariable="item"/>'
    wait = "<bpmn:timerEventDefinition><bpmn:timeDuration>PT30H</bpmn:timeDuration></bpmn:timerEventDefinition>"
    stop = '<bpmn:startEvent id="halt" isInterrupting="true"><bpmn:messageEventDefinition messageRef="m_stopp"/>'
    return model(
        "start>hver hver>venter venter>hear venter>tid hear>etter tid>etter etter>which which>hver which>end",
        scope(flows, *inside, "<bpmn:endEvent id='out'/>", marker, identity="hver"),
        gateway("venter", kind="eventBased"),
        waits_for("hear", "message", "svar", correlation="${str(sak)}"),
        f'<bpmn:intermediateCatchEvent id="tid">{wait}</bpmn:intermediateCatchEvent>',
        task("etter", WITH_FORM),
        gateway("which", "end"),
        scope("halt>rydd rydd>ryddet", f"{stop}</bpmn:startEvent>", task("rydd", WITH_FORM),
              "<bpmn:endEvent id='ryddet'/>", identity="stopp", attributes='triggeredByEvent="true"'),
        declared=message("svar") + message("stopp"),
        process="runder",
        conditions={"which>hver": AGAIN},
    )  # fmt: skip


FIRST = (hearing(checks=False), called(timed_sum=False), caller(renamed=False), rounds(looks=False))
SECOND = (hearing(checks=True), called(timed_sum=True), caller(renamed=True), rounds(looks=True))
#: What takes another element's place in the second version.
MAPPING: Mapping[str, str] = {"last": "sist"}
