"""Models to begin with: one drawn from nothing, and a copy under another process id."""

import re
from xml.sax.saxutils import quoteattr

from lxml import etree

from engine.bpmn.reading import parse_xml, processes_in, tag
from engine.errors import InvalidInput

_PROCESS_ID = re.compile(r"[a-z][a-z0-9_]{2,59}")
_DI = "http://www.omg.org/spec/BPMN/20100524/DI"

_BLANK = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
                  xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI"
                  xmlns:dc="http://www.omg.org/spec/DD/20100524/DC"
                  xmlns:di="http://www.omg.org/spec/DD/20100524/DI"
                  xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
                  id="{id}_definitions" targetNamespace="https://avtaleflyt.example.org/workflows">
  <bpmn:collaboration id="{id}_collaboration">
    <bpmn:participant id="{id}_pool" name={name} processRef="{id}" />
  </bpmn:collaboration>
  <bpmn:process id="{id}" name={name} isExecutable="true">
    <bpmn:laneSet id="{id}_lanes">
      <bpmn:lane id="sekretariat" name="Sekretariatet">
        <bpmn:flowNodeRef>start</bpmn:flowNodeRef>
        <bpmn:flowNodeRef>first_step</bpmn:flowNodeRef>
        <bpmn:flowNodeRef>end</bpmn:flowNodeRef>
      </bpmn:lane>
    </bpmn:laneSet>
    <bpmn:startEvent id="start" name="Saken starter">
      <bpmn:outgoing>to_first_step</bpmn:outgoing>
    </bpmn:startEvent>
    <bpmn:userTask id="first_step" name="Første steg" camunda:dueDate="${{working_days_before(meeting, 5)}}">
      <bpmn:incoming>to_first_step</bpmn:incoming>
      <bpmn:outgoing>to_end</bpmn:outgoing>
    </bpmn:userTask>
    <bpmn:endEvent id="end" name="Saken er ferdig">
      <bpmn:incoming>to_end</bpmn:incoming>
    </bpmn:endEvent>
    <bpmn:sequenceFlow id="to_first_step" sourceRef="start" targetRef="first_step" />
    <bpmn:sequenceFlow id="to_end" sourceRef="first_step" targetRef="end" />
  </bpmn:process>
  <bpmndi:BPMNDiagram id="{id}_diagram">
    <bpmndi:BPMNPlane id="{id}_plane" bpmnElement="{id}_collaboration">
      <bpmndi:BPMNShape id="{id}_pool_shape" bpmnElement="{id}_pool" isHorizontal="true">
        <dc:Bounds x="160" y="80" width="700" height="200" />
      </bpmndi:BPMNShape>
      <bpmndi:BPMNShape id="sekretariat_shape" bpmnElement="sekretariat" isHorizontal="true">
        <dc:Bounds x="190" y="80" width="670" height="200" />
      </bpmndi:BPMNShape>
      <bpmndi:BPMNShape id="start_shape" bpmnElement="start">
        <dc:Bounds x="252" y="162" width="36" height="36" />
        <bpmndi:BPMNLabel>
          <dc:Bounds x="235" y="205" width="71" height="14" />
        </bpmndi:BPMNLabel>
      </bpmndi:BPMNShape>
      <bpmndi:BPMNShape id="first_step_shape" bpmnElement="first_step">
        <dc:Bounds x="400" y="140" width="120" height="80" />
      </bpmndi:BPMNShape>
      <bpmndi:BPMNShape id="end_shape" bpmnElement="end">
        <dc:Bounds x="632" y="162" width="36" height="36" />
        <bpmndi:BPMNLabel>
          <dc:Bounds x="612" y="205" width="76" height="14" />
        </bpmndi:BPMNLabel>
      </bpmndi:BPMNShape>
      <bpmndi:BPMNEdge id="to_first_step_edge" bpmnElement="to_first_step">
        <di:waypoint x="288" y="180" />
        <di:waypoint x="400" y="180" />
      </bpmndi:BPMNEdge>
      <bpmndi:BPMNEdge id="to_end_edge" bpmnElement="to_end">
        <di:waypoint x="520" y="180" />
        <di:waypoint x="632" y="180" />
      </bpmndi:BPMNEdge>
    </bpmndi:BPMNPlane>
  </bpmndi:BPMNDiagram>
</bpmn:definitions>
"""


def blank(process_id: str, name: str) -> str:
    """The least that deploys: one lane, one step. Raises InvalidInput for an unfit id."""
    return _BLANK.format(id=_checked(process_id), name=quoteattr(name))


def copied(xml: str, process_id: str, name: str) -> str:
    """The same model as another process. Raises InvalidInput for an unfit id, ModelRefused for what is no model."""
    root = parse_xml(xml.encode())
    old, new = processes_in(xml)[0], _checked(process_id)
    taken = {element.get("id") for element in root.iter() if element.get("id") != old}
    if new in taken:
        raise InvalidInput(f"The id {new} is already used inside the model. Choose another.")
    for process in root.iter(tag("process")):
        if process.get("id") == old:
            process.set("id", new)
            process.set("name", name)
    for participant in root.iter(tag("participant")):
        if participant.get("processRef") == old:
            participant.set("processRef", new)
            participant.set("name", name)
    for plane in root.iter(f"{{{_DI}}}BPMNPlane"):
        if plane.get("bpmnElement") == old:
            plane.set("bpmnElement", new)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8").decode()


def _checked(process_id: str) -> str:
    if not _PROCESS_ID.fullmatch(process_id):
        raise InvalidInput(
            f"{process_id!r} is no process id. Use 3 to 60 characters: a to z, digits and underscores, a letter first."
        )
    return process_id
