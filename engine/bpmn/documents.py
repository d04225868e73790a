"""XML as it comes from outside: parsed without entities, DOCTYPE or network, or refused with its line."""

import re
from typing import cast

from lxml import etree

from engine.errors import Finding, ModelRefused

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
CAMUNDA = "http://camunda.org/schema/1.0/bpmn"
NS = {"bpmn": BPMN, "camunda": CAMUNDA}
#: Larger files are refused before they are parsed.
MAX_BYTES = 5_000_000

_DECLARED_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"'>]{0,60})""")
_READ_AS_UTF_8 = {"UTF-8", "UTF8", "ASCII", "US-ASCII"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def tag(name: str) -> str:
    """The qualified BPMN tag, such as `{…}userTask`."""
    return f"{{{BPMN}}}{name}"


def local_name(element: etree._Element) -> str:
    """The tag without its namespace; empty for comments and processing instructions."""
    text = element.tag
    return text.rpartition("}")[2] if isinstance(text, str) else ""


def local_id(reference: str | None) -> str:
    """The id in a reference, which modelers may write with a prefix."""
    return (reference or "").strip().rpartition(":")[2]


def line_of(element: etree._Element) -> int | None:
    """Where in the file the element begins."""
    return cast("int | None", element.sourceline)


def shown(text: str, length: int = 80) -> str:
    """A text from a file as a message may hold it."""
    return text if len(text) <= length else text[: length - 1] + "…"


def properties_of(element: etree._Element) -> dict[str, str]:
    """The element's camunda:properties."""
    found = element.findall("bpmn:extensionElements/camunda:properties/camunda:property", NS)
    return {p.get("name", ""): p.get("value", "") for p in found}


def parse_plain_xml(document: str | bytes) -> etree._Element:
    """The root element. Raises ModelRefused for anything that is not plain, self-contained XML in UTF-8."""
    xml = _bytes_of(document)
    if len(xml) > MAX_BYTES:
        raise refusal(
            "size", None, f"The file is larger than {MAX_BYTES // 1_000_000} MB.", "Deploy one process per file."
        )
    _check_encoding(xml)
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise refusal("doctype", None, "The file has a DOCTYPE or entities.", "Remove them; a model needs none.")
    # Whatever the file says of itself, it is read as what was looked at above.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, encoding="UTF-8")
    try:
        return etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _not_well_formed(error) from None


def _not_well_formed(error: Exception) -> ModelRefused:
    line: int | None = getattr(error, "lineno", None)
    text = str(error)
    if "xcessive depth" in text:
        return refusal("xml", line, "The file's elements are nested too deeply.", "Call the inner parts as processes.")
    message = f"The file is not well-formed XML: {shown(text, 200)}."
    return refusal("xml", line, message, "Save it again from the modeler.")


def _bytes_of(document: str | bytes) -> bytes:
    try:
        return document.encode() if isinstance(document, str) else document
    except UnicodeEncodeError:
        raise _not_utf_8() from None


def _check_encoding(xml: bytes) -> None:
    """Another encoding would hide a DOCTYPE from a look at the bytes."""
    declared = _DECLARED_ENCODING.match(xml.removeprefix(_BYTE_ORDER_MARK))
    if declared and declared[1].decode("ascii", "replace").upper() not in _READ_AS_UTF_8:
        raise _not_utf_8()
    try:
        xml.decode("utf-8")
    except UnicodeDecodeError:
        raise _not_utf_8() from None


def _not_utf_8() -> ModelRefused:
    return refusal("encoding", 1, "The file is not in UTF-8.", "Save it as UTF-8.")


def refusal(rule: str, line: int | None, message: str, remedy: str) -> ModelRefused:
    """The refusal of a whole file."""
    finding = Finding(rule=rule, severity="error", element=None, name=None, line=line, message=message, remedy=remedy)
    return ModelRefused([finding])
