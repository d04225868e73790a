"""Models in words: what an element is called, what differs between two versions, and what the import gate says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flask_babel import get_locale
from flask_babel import gettext as _

from engine.bpmn.differences import Difference
from engine.errors import Finding
from web.pages import model_finding_words, model_sentences

#: Old and new values longer than this are shown in a disclosure.
LONG = 120


@dataclass(frozen=True, kw_only=True)
class Line:
    """One difference as a sentence, with what was and what is."""

    kind: str
    #: The element in the diagram that it is about; empty for forms and decisions.
    element: str
    text: str
    old: str = ""
    new: str = ""

    @property
    def long(self) -> bool:
        """Do the values need a place of their own?"""
        return max(len(self.old), len(self.new)) > LONG or "\n" in self.old + self.new


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two versions compared, as a page shows it."""

    lines: tuple[Line, ...]
    #: Elements whose shapes were moved and nothing else.
    moved: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Are the two the same?"""
        return not self.lines and not self.moved

    @property
    def summary(self) -> str:
        """How much differs, in one sentence."""
        if self.nothing:
            return _("Ingenting er forskjellig.")
        if not self.lines:
            return _("Bare tegningen er endret.")
        counts = (
            (_("%(n)s lagt til", n=len(self.added)), self.added),
            (_("%(n)s fjernet", n=len(self.removed)), self.removed),
            (_("%(n)s endret", n=len(self.changed)), self.changed),
        )
        return f"{', '.join(words for words, ids in counts if ids)}."


def comparison(differences: Sequence[Difference]) -> Comparison:
    """The differences in words; what is only redrawn is counted, not listed."""
    said = [d for d in differences if d.kind != "moved"]
    return Comparison(
        lines=tuple(line(d) for d in said),
        moved=_ids(d for d in differences if d.kind == "moved"),
        added=_ids(d for d in said if d.kind == "added"),
        removed=_ids(d for d in said if d.kind == "removed"),
        changed=_ids(d for d in said if d.kind == "changed"),
    )


def _ids(differences: Iterable[Difference]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(d.element_id for d in differences))


def line(difference: Difference) -> Line:
    """The difference as a sentence."""
    thing = called(difference.element_type, difference.element_name, difference.element_id)
    drawn = difference.element_type not in ("form", "decision")
    if difference.kind == "added":
        text = _("Lagt til: %(thing)s", thing=thing)
    elif difference.kind == "removed":
        text = _("Fjernet: %(thing)s", thing=thing)
    elif difference.kind == "moved":
        text = _("Tegnet på nytt: %(thing)s", thing=thing)
    else:
        text = _("%(thing)s: %(what)s", thing=thing, what=_change(difference))
    return Line(
        kind=difference.kind, element=difference.element_id if drawn else "", text=text[:1].upper() + text[1:],
        old=difference.old, new=difference.new,
    )  # fmt: skip


def _change(difference: Difference) -> str:
    what = property_name(difference.what)
    if not difference.old:
        return _("%(what)s er satt", what=what)
    if not difference.new:
        return _("%(what)s er fjernet", what=what)
    return _("%(what)s er endret", what=what)


def called(kind: str, name: str, identity: str) -> str:
    """An element as a sentence names it: `oppgaven «Send brev»`."""
    return f"{type_name(kind)} «{name or identity}»"


def type_name(kind: str) -> str:
    """What a type of BPMN's is called."""
    names = {
        "userTask": _("brukeroppgave"), "manualTask": _("manuell oppgave"), "serviceTask": _("tjenesteoppgave"),
        "scriptTask": _("skriptoppgave"), "sendTask": _("sendeoppgave"), "receiveTask": _("mottaksoppgave"),
        "businessRuleTask": _("regeloppgave"), "task": _("oppgave uten type"), "callActivity": _("kall til prosess"),
        "subProcess": _("delprosess"), "transaction": _("transaksjon"), "adHocSubProcess": _("fri delprosess"),
        "startEvent": _("start"), "endEvent": _("slutt"), "intermediateCatchEvent": _("ventepunkt"),
        "intermediateThrowEvent": _("mellomhendelse"), "boundaryEvent": _("kanthendelse"),
        "exclusiveGateway": _("veivalg"), "parallelGateway": _("parallell port"),
        "inclusiveGateway": _("åpent veivalg"),
        "eventBasedGateway": _("hendelsesport"), "complexGateway": _("sammensatt port"), "sequenceFlow": _("flyt"),
        "messageFlow": _("meldingsflyt"), "lane": _("rolle"), "participant": _("deltaker"), "process": _("prosess"),
        "textAnnotation": _("merknad"), "association": _("tilknytning"), "group": _("ramme"),
        "dataObject": _("dataobjekt"), "dataObjectReference": _("dataobjekt"), "dataStoreReference": _("datalager"),
        "message": _("melding"), "signal": _("signal"), "error": _("feil"), "escalation": _("eskalering"),
        "form": _("skjema"), "decision": _("beslutning"),
    }  # fmt: skip
    return names.get(kind, kind)


def property_name(what: str) -> str:
    """What a property is called in a sentence: `fristen`."""
    names = {
        "name": _("navnet"), "type": _("typen"), "role": _("rollen"), "scope": _("plasseringen"),
        "documentation": _("veiledningen"), "camunda:dueDate": _("fristen"), "camunda:assignee": _("personen"),
        "camunda:candidateGroups": _("gruppen"), "camunda:formKey": _("skjemaet"), "camunda:priority": _("prioriteten"),
        "camunda:candidateStarterGroups": _("gruppene som kan starte"), "conditionExpression": _("betingelsen"),
        "sourceRef": _("hvor flyten kommer fra"), "targetRef": _("hvor flyten går"), "default": _("standardveien"),
        "attachedToRef": _("oppgaven den sitter på"), "calledElement": _("prosessen som kalles"),
        "cancelActivity": _("om hendelsen avbryter"), "isInterrupting": _("om hendelsen avbryter"),
        "timeDate": _("tidspunktet"), "timeDuration": _("varigheten"), "timeCycle": _("gjentakelsen"),
        "script": _("skriptet"), "isExecutable": _("om prosessen kan kjøres"), "content": _("innholdet"),
        "multiInstanceLoopCharacteristics": _("om flere spørres"), "camunda:collection": _("hvem som spørres"),
        "camunda:elementVariable": _("navnet på hver som spørres"), "isSequential": _("om de spørres etter tur"),
        "completionCondition": _("når steget er ferdig"), "loopCharacteristics": _("gjentakelsen"),
        "property reminders": _("påminnelsene"), "property approver": _("godkjenneren"),
        "property title": _("tittelen"), "property form": _("valget av skjema"),
        "property subject": _("emnet i e-posten"),
        "property action": _("teksten på knappen"), "property minutes": _("tidsbruken"),
        "property minimumWorkingDays": _("minste antall virkedager"), "property output": _("variabelen med svarene"),
        "property planOutcome": _("utfallet i planen"),
    }  # fmt: skip
    if what in names:
        return names[what]
    if what.startswith("field "):
        return _("feltet «%(name)s»", name=what.removeprefix("field "))
    if what.startswith("text "):
        return _("tekst %(number)s", number=what.removeprefix("text "))
    if what.startswith("in "):
        return _("navnet «%(name)s» til prosessen som kalles", name=what.removeprefix("in "))
    return f"«{what.removeprefix('camunda:').removeprefix('property ')}»"


# --- findings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FindingWords:
    """A finding for the reader."""

    severity: str
    element: str
    name: str
    text: str
    remedy: str
    rule: str


def finding(found: Finding) -> FindingWords:
    """The finding in the reader's language."""
    text, remedy = found.message, found.remedy
    if _in_bokmal():
        text, remedy = model_sentences.sentence(found.message) or model_finding_words.words(found.rule)
    return FindingWords(
        severity=found.severity, element=found.element or "", name=found.name or found.element or "", text=text,
        remedy=remedy, rule=found.rule,
    )  # fmt: skip


def form_problem(message: str) -> str:
    """What is wrong with a form, in the reader's language."""
    return model_sentences.of_form(message) if _in_bokmal() else message


def refusal(message: str) -> str:
    """Why a model was refused, in the reader's language; what a page itself said stays as it is."""
    known = model_sentences.sentence(message) if _in_bokmal() else None
    return message if known is None else " ".join(known)


def _in_bokmal() -> bool:
    return str(get_locale() or "nb") == "nb"
