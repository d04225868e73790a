"""Messages, signals and service tasks for drawn models, in a few lines."""

from tests.engine.drawing import model as plain


def model(flows: str, *nodes: str, start: str = "", declares: str = "", process: str = "prove") -> bytes:
    """As `drawing.model`, with another start event and with what the file declares beside the process."""
    text = plain(flows, *nodes, process=process).decode()
    text = text.replace('<bpmn:startEvent id="start"/>', start or '<bpmn:startEvent id="start"/>')
    return text.replace("<bpmn:process ", f"{declares}<bpmn:process ", 1).encode()


def message(name: str) -> str:
    """Declares a message."""
    return f'<bpmn:message id="m_{name}" name="{name}"/>'


def signal(name: str) -> str:
    """Declares a signal."""
    return f'<bpmn:signal id="s_{name}" name="{name}"/>'


def error(code: str) -> str:
    """Declares an error."""
    return f'<bpmn:error id="e_{code}" errorCode="{code}"/>'


def starts_by(kind: str, what: str) -> str:
    """A start event by message, signal or cycle."""
    return f'<bpmn:startEvent id="start">{_definition(kind, what)}</bpmn:startEvent>'


def waits_for(identity: str, kind: str, what: str, correlation: str = "") -> str:
    """An event that waits between two elements."""
    inner = _extension(correlation) + _definition(kind, what)
    return f'<bpmn:intermediateCatchEvent id="{identity}">{inner}</bpmn:intermediateCatchEvent>'


def sends(identity: str, kind: str, what: str, correlation: str = "", **payload: str) -> str:
    """An event that throws between two elements, with its payload."""
    inner = _extension(correlation, payload) + _definition(kind, what)
    return f'<bpmn:intermediateThrowEvent id="{identity}">{inner}</bpmn:intermediateThrowEvent>'


def service(identity: str, topic: str, result: str = "", **inputs: str) -> str:
    """A service task that calls a registered function."""
    stored = f' camunda:resultVariable="{result}"' if result else ""
    attributes = f'id="{identity}" camunda:type="external" camunda:topic="{topic}"{stored}'
    return f"<bpmn:serviceTask {attributes}>{_extension('', inputs)}</bpmn:serviceTask>"


def catches_error(identity: str, host: str, code: str) -> str:
    """A boundary event that catches an error."""
    return (
        f'<bpmn:boundaryEvent id="{identity}" attachedToRef="{host}">{_definition("error", code)}</bpmn:boundaryEvent>'
    )


def _definition(kind: str, what: str) -> str:
    if kind == "timer":
        return f"<bpmn:timerEventDefinition><bpmn:timeCycle>{what}</bpmn:timeCycle></bpmn:timerEventDefinition>"
    reference = f'{kind}Ref="{kind[0]}_{what}"'
    return f"<bpmn:{kind}EventDefinition {reference}/>"


def _extension(correlation: str, inputs: dict[str, str] | None = None) -> str:
    key = f'<camunda:properties><camunda:property name="correlationKey" value="{correlation}"/></camunda:properties>'
    given = "".join(
        f'<camunda:inputParameter name="{n}">{v}</camunda:inputParameter>' for n, v in (inputs or {}).items()
    )
    mapping = f"<camunda:inputOutput>{given}</camunda:inputOutput>" if given else ""
    inside = (key if correlation else "") + mapping
    return f"<bpmn:extensionElements>{inside}</bpmn:extensionElements>" if inside else ""
