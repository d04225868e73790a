"""Models as common modelers write them: let through unless they depend on what does not run; and what reading tells."""

import pytest

from engine.bpmn.lint import lint
from engine.bpmn.parsing import compile_models
from engine.bpmn.reading import processes_in, read
from engine.errors import Finding, ModelRefused
from tests.engine.drawing import call, event, extended, model, node, scope, task
from tests.engine.gate_drawing import ASK, DECLARED, alone, replaced

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"


def errors(xml: bytes) -> list[Finding]:
    drawn = read(xml)
    found = lint(drawn, forms={}, known_processes=frozenset({"annen"}))
    refused = [finding for finding in found if finding.severity == "error"]
    if not refused:
        compile_models(drawn, [read(model("start>end", process="annen"))])
    return refused


def rules(xml: bytes) -> list[tuple[str, str | None]]:
    return [(finding.rule, finding.element) for finding in errors(xml)]


#: As Camunda Modeler 7 writes it, with what only its own engine reads and what changes nothing here.
CAMUNDA_MODELER = f"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="{BPMN}" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
    xmlns:modeler="http://camunda.org/schema/modeler/1.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    id="Definitions_1" targetNamespace="http://bpmn.io/schema/bpmn" exporter="Camunda Modeler" exporterVersion="5.20.0"
    modeler:executionPlatform="Camunda Platform" modeler:executionPlatformVersion="7.20.0">
  <bpmn:process id="Process_1" name="Søknad" isExecutable="true" camunda:historyTimeToLive="180" camunda:versionTag="1">
    <bpmn:startEvent id="StartEvent_1" camunda:initiator="starter" camunda:asyncBefore="true">
      <bpmn:outgoing>Flow_1</bpmn:outgoing>
    </bpmn:startEvent>
    <bpmn:userTask id="Activity_1" name="Vurder" camunda:assignee="per" camunda:priority="50"
        camunda:jobPriority="10" camunda:exclusive="false">
      <bpmn:extensionElements>
        <camunda:failedJobRetryTimeCycle>R3/PT1M</camunda:failedJobRetryTimeCycle>
        <camunda:properties><camunda:property name="egen" value="verdi" /></camunda:properties>
      </bpmn:extensionElements>
      <bpmn:incoming>Flow_1</bpmn:incoming><bpmn:outgoing>Flow_2</bpmn:outgoing>
    </bpmn:userTask>
    <bpmn:boundaryEvent id="Event_1" cancelActivity="false" attachedToRef="Activity_1">
      <bpmn:outgoing>Flow_3</bpmn:outgoing>
      <bpmn:timerEventDefinition id="Timer_1">
        <bpmn:timeDuration xsi:type="bpmn:tFormalExpression">PT1H</bpmn:timeDuration>
      </bpmn:timerEventDefinition>
    </bpmn:boundaryEvent>
    <bpmn:endEvent id="Event_2" /><bpmn:endEvent id="Event_3" />
    <bpmn:sequenceFlow id="Flow_1" sourceRef="StartEvent_1" targetRef="Activity_1" />
    <bpmn:sequenceFlow id="Flow_2" sourceRef="Activity_1" targetRef="Event_2" />
    <bpmn:sequenceFlow id="Flow_3" sourceRef="Event_1" targetRef="Event_3" />
  </bpmn:process>
</bpmn:definitions>""".encode()

#: As other modelers do: their own prefix or none, extensions of their own, ids like these, a pool, no isExecutable.
ANOTHER_MODELER = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<definitions xmlns="{BPMN}" xmlns:signavio="http://www.signavio.com" xmlns:ea="http://www.sparxsystems.com/bpmn"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="sid-1" exporter="En modellerer"
    expressionLanguage="http://www.w3.org/1999/XPath" typeLanguage="http://www.w3.org/2001/XMLSchema"
    targetNamespace="http://example.org">
  <collaboration id="sid-2"><participant id="sid-3" name="Oss" processRef="sid-4">
    <extensionElements><signavio:signavioMetaData metaKey="bgcolor" metaValue="#fff"/></extensionElements>
  </participant><participant id="sid-5" name="Dere"/>
    <messageFlow id="sid-6" sourceRef="sid-8" targetRef="sid-5"/></collaboration>
  <process id="sid-4" name="Prosess" processType="None">
    <extensionElements><ea:tull farge="rød"><ea:mer/></ea:tull></extensionElements>
    <laneSet id="sid-l"><lane id="sid-lane" name="Saksbehandler"><flowNodeRef>sid-7</flowNodeRef></lane></laneSet>
    <startEvent id="sid-7" name=""><outgoing>sid-f1</outgoing></startEvent>
    <task id="sid-8" name="Gjør
 noe" completionQuantity="1" isForCompensation="false" startQuantity="1" ea:id="7">
      <ioSpecification><inputSet/><outputSet/></ioSpecification></task>
    <exclusiveGateway id="sid-9" gatewayDirection="Diverging" default="sid-f4"/>
    <endEvent id="sid-10"/><endEvent id="sid-11"/>
    <sequenceFlow id="sid-f1" sourceRef="sid-7" targetRef="sid-8"/>
    <sequenceFlow id="sid-f2" sourceRef="sid-8" targetRef="sid-9"/>
    <sequenceFlow id="sid-f3" isImmediate="true" sourceRef="sid-9" targetRef="sid-10">
      <conditionExpression xsi:type="tFormalExpression" language="http://www.w3.org/1999/XPath"><![CDATA[sum > 10]]>
      </conditionExpression></sequenceFlow>
    <sequenceFlow id="sid-f4" sourceRef="sid-9" targetRef="sid-11"/>
    <!-- en merknad --><?modeller gjorde dette?>
    <textAnnotation id="sid-12" textFormat="text/plain"><text>Husk</text></textAnnotation>
    <association id="sid-13" sourceRef="sid-8" targetRef="sid-12"/>
  </process>
</definitions>""".encode()


@pytest.mark.parametrize("xml", [CAMUNDA_MODELER, ANOTHER_MODELER], ids=["camunda modeler", "another"])
def test_models_of_common_modelers_are_let_through_unchanged(xml: bytes) -> None:
    assert errors(xml) == []


ENGINES = (
    '<bpmn:definitions xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:flowable="http://flowable.org/bpmn" '
    'xmlns:spiffworkflow="http://spiffworkflow.org/bpmn/schema/1.0/core" xmlns:activiti="http://activiti.org/bpmn" '
)
#: What other engines would do here, and this one would not.
OTHER_ENGINES = {
    "zeebe:taskDefinition": extended("task", '<zeebe:taskDefinition type="mail"/>'),
    "zeebe:ioMapping": extended("task", '<zeebe:ioMapping><zeebe:input source="=a" target="b"/></zeebe:ioMapping>'),
    "spiffworkflow:preScript": extended("task", "<spiffworkflow:preScript>a = 1</spiffworkflow:preScript>"),
    "flowable:class": node("task", attributes='flowable:class="no.Klasse"'),
    "activiti:assignee": node("task", attributes='activiti:assignee="per"'),
    "camunda:class": node("task", attributes='camunda:class="no.Klasse"'),
    "camunda:unknown": extended("task", "<camunda:unknown/>"),
}


@pytest.mark.parametrize("name", OTHER_ENGINES)
def test_what_another_engine_would_do_is_refused(name: str) -> None:
    drawn = replaced("<bpmn:definitions ", ENGINES, alone(OTHER_ENGINES[name]))
    (finding,) = errors(drawn)
    assert (finding.rule, finding.element) == ("extension", "it")
    assert name in finding.message


def test_what_another_engine_only_remembers_is_let_through() -> None:
    harmless = extended(
        "task", "<zeebe:properties/><zeebe:taskHeaders/>", attributes='flowable:async="true" activiti:exclusive="false"'
    )
    assert errors(replaced("<bpmn:definitions ", ENGINES, alone(harmless))) == []


@pytest.mark.parametrize(
    "language", ["javascript", "groovy", "http://www.omg.org/spec/FEEL/20140401", "application/x-ruby"]
)
def test_a_condition_in_another_language_is_refused(language: str) -> None:
    drawn = model("start>t t>end", node("task", "t"), conditions={"t>end": "a > 1"})
    assert errors(drawn) == []
    spoken = replaced("<bpmn:conditionExpression>", f'<bpmn:conditionExpression language="{language}">', drawn)
    assert rules(spoken) == [("expression", "t_end")]


def test_a_name_with_a_template_in_it_is_refused() -> None:
    declared = '<bpmn:message id="m" name="Svar ${nummer}"/>'
    drawn = alone(event("intermediateCatchEvent", "message", attributes='|messageRef="m"'), declared=declared)
    assert rules(drawn) == [("expression", "it")]


# --- reading ----------------------------------------------------------------------------------------------------------

TWO = replaced(
    "</bpmn:definitions>",
    '<bpmn:process id="andre" name="Den andre" isExecutable="1"><bpmn:startEvent id="s"><bpmn:messageEventDefinition '
    'messageRef="m"/></bpmn:startEvent></bpmn:process><bpmn:process id="tegnet"/></bpmn:definitions>',
    model("start>ask ask>it", ASK, event("endEvent", "message", attributes='|messageRef="m"'), declared=DECLARED),
)


def test_every_executable_process_of_a_file_can_be_read_by_its_id() -> None:
    assert processes_in(TWO) == ["prove", "andre"]
    first, second = (read(TWO, identity) for identity in processes_in(TWO))
    assert (first.process_id, first.thrown, first.caught) == ("prove", {("message", "Svar")}, frozenset())
    assert (second.process_id, second.name, second.thrown, second.caught) == (
        "andre", "Den andre", frozenset(), {("message", "Svar")},
    )  # fmt: skip
    assert second.starts["s"].definition.kind == "message"
    assert [f for f in lint(second, forms={}, known_processes=frozenset()) if f.severity == "error"] == []


@pytest.mark.parametrize("process_id", [None, "tegnet", "mangler"])
def test_which_process_is_meant_must_be_clear(process_id: str | None) -> None:
    with pytest.raises(ModelRefused) as refused:
        read(TWO, process_id)
    assert refused.value.findings[0].rule == "one-process"


def test_a_files_only_process_need_not_say_that_it_is_executable() -> None:
    assert read(replaced(' isExecutable="true"', "")).process_id == "prove"


def test_reading_tells_what_the_engine_needs() -> None:
    drawn = read(
        model(
            "start>ask ask>m m>s s>r r>c c>end",
            task(
                "ask", 'camunda:priority="²" camunda:formKey="svar"', properties={"minutes": "²", "reminders": "5,x,1"}
            ),
            node("manualTask", "m"),
            node("serviceTask", "s", attributes='camunda:type="external" camunda:topic="regn" name="Regn ut"'),
            node("businessRuleTask", "r", attributes='camunda:decisionRef="trinn"'),
            call("c", "ns:annen", meeting="${ssu}"),
            start='<bpmn:startEvent id="start" camunda:formKey="start"/>',
        ),
        decision_names={"trinn": frozenset({"alder"}), "ubrukt": frozenset({"ikke"})},
    )
    ask = drawn.user_tasks["ask"]
    assert (ask.kind, ask.priority, ask.minutes, ask.reminders) == ("userTask", 50, None, (5, 1))
    assert drawn.user_tasks["m"].kind == "manualTask"
    assert (drawn.services["s"].topic, drawn.services["s"].name) == ("regn", "Regn ut")
    assert drawn.decisions == {"trinn"}
    assert drawn.names_read == {"ssu", "alder"}
    assert drawn.calls["c"].called == "annen"
    assert drawn.start_form == "start"


def test_a_task_in_a_sub_process_is_its_lanes() -> None:
    drawn = replaced(
        "<bpmn:flowNodeRef>ask</bpmn:flowNodeRef>", "<bpmn:flowNodeRef>sub</bpmn:flowNodeRef>",
        model("start>sub sub>end", scope("in>ask", node("startEvent", "in"), ASK, identity="sub")),
    )  # fmt: skip
    assert read(drawn).user_tasks["ask"].role == "alle"
