"""History in plain words: a code and its data become a sentence in Bokmål. Pure; the names come from the caller."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from flask_babel import gettext as _

from web.formatting import liste, tallord

#: Of a longer value the sentence shows the beginning.
MAX_SHOWN = 60
#: What a reader can do without in the short list: each is told by the event beside it.
MINOR = frozenset(
    {"claimed", "released", "step-completed", "step-skipped", "step-withdrawn", "document-added", "document-removed"}
)
#: What happens inside a party before its answer is given; nobody else's business.
INTERNAL = frozenset(
    {"draft-saved", "claimed", "released", "submitted", "sent-back", "document-added", "document-removed"}
    | {"links-revoked", "link-renewed"}
)


class Event(Protocol):
    """What the words need of `engine.model.HistoryEvent`."""

    @property
    def kind(self) -> str: ...
    @property
    def actor_id(self) -> int | None: ...
    @property
    def on_behalf_of_id(self) -> int | None: ...
    @property
    def task_id(self) -> int | None: ...
    @property
    def data(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class TaskName:
    """A task as a sentence names it; `party` is empty where one person or group is asked."""

    name: str
    party: str = ""


@dataclass(frozen=True, kw_only=True)
class StepName:
    """A step, and what those it asks are called: `parter`, `organer`."""

    name: str
    asked: str = ""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the ids in the events stand for."""

    #: How a date is written.
    day: Callable[[date], str]
    people: Mapping[int, str] = field(default_factory=dict)
    people_by_key: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[int, TaskName] = field(default_factory=dict)
    #: By element id.
    steps: Mapping[str, StepName] = field(default_factory=dict)
    elements: Mapping[str, str] = field(default_factory=dict)
    #: Task id and outcome code -> the words of the form.
    outcome: Callable[[int | None, str], str] = lambda task_id, code: code


def sentence(event: Event, names: Names) -> str:
    """What happened. A kind that is new to this version says that something changed, and never fails."""
    told = _SENTENCES.get(event.kind, _unknown)(event, names)
    # The owner's answer for somebody says so already.
    if event.on_behalf_of_id is not None and event.kind != "answered-on-behalf":
        name = names.people.get(event.on_behalf_of_id, _("en annen"))
        told += " " + _("Det gjorde %(who)s på vegne av %(name)s.", who=_who(event, names), name=name)
    return told + " " + _("Det ble gjort fra en lenke i e-post.") if event.data.get("via") == "link" else told


def fact_name(name: str) -> str:
    """What people call a date that others hang on."""
    known = {
        "ssu": _("møtet i SSU"),
        "au": _("møtet i AU"),
        "meeting": _("møtet"),
        "in_force": _("datoen for ikrafttredelse"),
    }
    return known.get(name, "«" + name.replace("_", " ") + "»")


# --- parts of sentences -----------------------------------------------------------------------------------------------


def _who(event: Event, names: Names) -> str:
    if event.actor_id is None:
        return _("Systemet")
    return names.people.get(event.actor_id, _("En person"))


def _task(event: Event, names: Names) -> TaskName:
    return names.tasks.get(event.task_id or 0, TaskName(name=_("oppgaven"), party=str(event.data.get("item") or "")))


def _step(event: Event, names: Names) -> StepName:
    return names.steps.get(str(event.data.get("element") or "")) or StepName(name=_element(event, names))


def _element(event: Event, names: Names) -> str:
    element = str(event.data.get("element") or "")
    return names.elements.get(element, element)


def _date(value: object, names: Names) -> str:
    if not value:
        return _("en annen dag")
    try:
        return names.day(date.fromisoformat(str(value)))
    except ValueError:
        return str(value)


# --- the case ---------------------------------------------------------------------------------------------------------


def _unknown(event: Event, names: Names) -> str:
    return _("%(who)s endret noe i saken.", who=_who(event, names))


def _started(event: Event, names: Names) -> str:
    return _("%(who)s startet saken.", who=_who(event, names))


def _warned(event: Event, names: Names) -> str:
    return _("%(who)s beholdt datoer som er uvanlige.", who=_who(event, names))


def _completed(event: Event, names: Names) -> str:
    return _("Saken er ferdig.")


def _cancelled(event: Event, names: Names) -> str:
    return _("%(who)s avsluttet saken før den var ferdig.", who=_who(event, names))


def _facts(event: Event, names: Names) -> str:
    old, new = event.data.get("old") or {}, event.data.get("new") or {}
    moved = [_moved(name, old.get(name), day, names) for name, day in new.items() if old.get(name) != day]
    if not moved:
        return _("%(who)s bekreftet datoene i saken.", who=_who(event, names))
    return _("%(who)s %(moves)s.", who=_who(event, names), moves=liste(moved))


def _moved(name: str, old: object, new: object, names: Names) -> str:
    if not old:
        return _("satte %(fact)s til %(new)s", fact=fact_name(name), new=_date(new, names))
    return _(
        "flyttet %(fact)s fra %(old)s til %(new)s",
        fact=fact_name(name), old=_date(old, names), new=_date(new, names),
    )  # fmt: skip


def _incident(event: Event, names: Names) -> str:
    return _("Saken stanset ved «%(step)s» fordi noe automatisk feilet.", step=_element(event, names))


def _retried(event: Event, names: Names) -> str:
    return _("%(who)s prøvde «%(step)s» på nytt.", who=_who(event, names), step=_element(event, names))


def _again(event: Event, names: Names) -> str:
    return _("«%(step)s» feilet igjen.", step=_element(event, names))


def _passed(event: Event, names: Names) -> str:
    return _("«%(step)s» gikk bra da systemet prøvde igjen.", step=_element(event, names))


def _stands(event: Event, names: Names) -> str:
    return _("Systemet prøver ikke «%(step)s» lenger av seg selv.", step=_element(event, names))


def _element_skipped(event: Event, names: Names) -> str:
    return _("%(who)s lot saken gå videre uten «%(step)s».", who=_who(event, names), step=_element(event, names))


def _variable(event: Event, names: Names) -> str:
    who, name = _who(event, names), event.data.get("name") or _("en verdi")
    if "new" not in event.data:  # values are the owner's business
        return _("%(who)s endret «%(name)s».", who=who, name=name)
    return _(
        "%(who)s endret verdien «%(name)s» fra %(old)s til %(new)s.",
        who=who, name=name, old=_value(event.data.get("old")), new=_value(event.data["new"]),
    )  # fmt: skip


def _value(value: object) -> str:
    """A variable's value, short enough for a sentence."""
    if value is None:
        return _("ingenting")
    if isinstance(value, bool):
        return _("ja") if value else _("nei")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"«{text}»" if len(text) <= MAX_SHOWN else f"«{text[:MAX_SHOWN]} …»"


def _put_elsewhere(event: Event, names: Names) -> str:
    to = str(event.data.get("to") or "")
    return _(
        "%(who)s flyttet saken fra «%(step)s» til «%(to)s».",
        who=_who(event, names), step=_element(event, names), to=names.elements.get(to, to),
    )  # fmt: skip


def _suspended(event: Event, names: Names) -> str:
    return _("%(who)s satte saken på vent.", who=_who(event, names))


def _resumed(event: Event, names: Names) -> str:
    return _("%(who)s lot saken fortsette.", who=_who(event, names))


def _job_retried(event: Event, names: Names) -> str:
    return _("%(who)s fikk noe som hadde feilet, prøvd på nytt.", who=_who(event, names))


def _dropped(event: Event, names: Names) -> str:
    name = event.data.get("name", "")
    return _("%(who)s kastet beskjeden «%(name)s», som ingen tok imot.", who=_who(event, names), name=name)


def _reopened(event: Event, names: Names) -> str:
    return _("%(who)s åpnet saken igjen.", who=_who(event, names))


def _migrated(event: Event, names: Names) -> str:
    who = _who(event, names)
    return _("%(who)s flyttet saken til versjon %(version)s av modellen.", who=who, version=event.data.get("new", ""))


def _migration_reverted(event: Event, names: Names) -> str:
    return _("%(who)s flyttet saken tilbake til den forrige versjonen av modellen.", who=_who(event, names))


def _received(event: Event, names: Names) -> str:
    return _("Saken fikk beskjeden «%(name)s».", name=event.data.get("name", ""))


def _signalled(event: Event, names: Names) -> str:
    return _("Saken fikk signalet «%(name)s».", name=event.data.get("name", ""))


def _sent(event: Event, names: Names) -> str:
    return _("Saken sendte beskjeden «%(name)s».", name=event.data.get("name", ""))


def _sent_signal(event: Event, names: Names) -> str:
    return _("Saken sendte signalet «%(name)s».", name=event.data.get("name", ""))


# --- steps ------------------------------------------------------------------------------------------------------------


def _opened(event: Event, names: Names) -> str:
    step, total = _step(event, names), int(event.data.get("total") or 1)
    again = int(event.data.get("round") or 1) > 1
    if total > 1:
        asked = step.asked or _("svar")
        text = _("«%(step)s» åpnet for %(count)s %(asked)s.", step=step.name, count=tallord(total), asked=asked)
    elif again:
        text = _("«%(step)s» åpnet på nytt.", step=step.name)
    else:
        text = _("«%(step)s» åpnet.", step=step.name)
    due = event.data.get("due")
    return text + (" " + _("Frist %(day)s.", day=_date(due, names)) if due else "")


def _step_completed(event: Event, names: Names) -> str:
    step, (done, total) = _step(event, names), _counts(event)
    if total > 1:
        return _("«%(step)s» er ferdig: %(done)s av %(total)s har svart.", step=step.name, done=done, total=total)
    return _("«%(step)s» er ferdig.", step=step.name)


def _step_closed(event: Event, names: Names) -> str:
    step, (done, total) = _step(event, names), _counts(event)
    if total > 1:
        return _(
            "Fristen for «%(step)s» gikk ut. %(done)s av %(total)s hadde svart.", step=step.name, done=done, total=total
        )
    return _("Fristen for «%(step)s» gikk ut uten svar.", step=step.name)


def _counts(event: Event) -> tuple[int, int]:
    return int(event.data.get("completed") or 0), int(event.data.get("total") or 1)


def _step_skipped(event: Event, names: Names) -> str:
    return _("«%(step)s» ble avsluttet uten svar.", step=_step(event, names).name)


def _step_withdrawn(event: Event, names: Names) -> str:
    return _("«%(step)s» ble trukket tilbake.", step=_step(event, names).name)


def _date_set(event: Event, names: Names) -> str:
    who, step = _who(event, names), _at_place(event, names)
    if not event.data.get("new"):
        return _("%(who)s lot modellen regne ut fristen for «%(step)s» igjen.", who=who, step=step)
    new = _date(event.data["new"], names)
    return _("%(who)s satte fristen for «%(step)s» for hånd: %(new)s.", who=who, step=step, new=new)


def _at_place(event: Event, names: Names) -> str:
    """The step at "call path/element"."""
    element = str(event.data.get("place") or "").rpartition("/")[2]
    return names.steps[element].name if element in names.steps else names.elements.get(element, element)


def _skipped(event: Event, names: Names) -> str:
    return _("%(who)s hoppet over «%(step)s».", who=_who(event, names), step=_step(event, names).name)


# --- tasks ------------------------------------------------------------------------------------------------------------


def _claimed(event: Event, names: Names) -> str:
    return _("%(who)s tok oppgaven «%(task)s»%(party)s.", **_about(event, names))


def _released(event: Event, names: Names) -> str:
    return _("%(who)s la oppgaven «%(task)s»%(party)s tilbake til gruppen.", **_about(event, names))


def _delegated(event: Event, names: Names) -> str:
    key = str(event.data.get("to") or "")
    to = names.people_by_key.get(key, key)
    return _("%(who)s ga oppgaven «%(task)s»%(party)s til %(to)s.", to=to, **_about(event, names))


def _draft_saved(event: Event, names: Names) -> str:
    task = _task(event, names)
    if task.party:
        return _("%(who)s lagret utkast for %(party)s.", who=_who(event, names), party=task.party)
    return _("%(who)s lagret utkast i «%(task)s».", who=_who(event, names), task=task.name)


def _submitted(event: Event, names: Names) -> str:
    task = _task(event, names)
    if task.party:
        return _("%(party)s sendte svaret på «%(task)s» til godkjenning.", party=task.party, task=task.name)
    return _("%(who)s sendte «%(task)s» til godkjenning.", who=_who(event, names), task=task.name)


def _links_revoked(event: Event, names: Names) -> str:
    return _(
        "%(who)s stengte lenkene i e-postene om «%(task)s».", who=_who(event, names), task=_task(event, names).name
    )


def _respondents_invited(event: Event, names: Names) -> str:
    who, role = _who(event, names), str(event.data.get("role") or "")
    return _("%(who)s laget en åpen lenke for %(role)s.", who=who, role=role)


def _respondents_closed(event: Event, names: Names) -> str:
    who, role = _who(event, names), str(event.data.get("role") or "")
    return _("%(who)s stengte den åpne lenken for %(role)s.", who=who, role=role)


def _link_renewed(event: Event, names: Names) -> str:
    return _("%(who)s ba om en ny lenke til «%(task)s».", who=_who(event, names), task=_task(event, names).name)


def _sent_back(event: Event, names: Names) -> str:
    return _("%(who)s sendte svaret på «%(task)s»%(party)s tilbake for å bli endret.", **_about(event, names))


def _answered(event: Event, names: Names) -> str:
    task = _task(event, names)
    if task.party:
        text = _("%(party)s svarte på «%(task)s».", party=task.party, task=task.name)
    else:
        text = _("%(who)s gjorde ferdig «%(task)s».", who=_who(event, names), task=task.name)
    return text + _outcome(event, names)


def _approved(event: Event, names: Names) -> str:
    task = _task(event, names)
    party = task.party or _who(event, names)
    text = _("%(party)s svarte på «%(task)s».", party=party, task=task.name)
    return text + " " + _("%(who)s godkjente.", who=_who(event, names)) + _outcome(event, names)


def _on_behalf(event: Event, names: Names) -> str:
    task = _task(event, names)
    party = task.party or names.people.get(getattr(event, "on_behalf_of_id", None) or 0, _("den som hadde oppgaven"))
    text = _("%(who)s svarte på «%(task)s» på vegne av %(party)s.", who=_who(event, names), task=task.name, party=party)
    return text + _outcome(event, names)


def _outcome(event: Event, names: Names) -> str:
    code = event.data.get("outcome")
    return " " + _("Utfall: %(outcome)s.", outcome=names.outcome(event.task_id, str(code)).rstrip(".")) if code else ""


def _extended(event: Event, names: Names) -> str:
    old, new = event.data.get("old"), event.data.get("new")
    task, who = _task(event, names), _who(event, names)
    whom = task.party or _("den som har oppgaven")
    if old and str(new) < str(old):
        text = _("%(who)s flyttet fristen fram for %(whom)s", who=who, whom=whom)
    else:
        text = _("%(who)s ga %(whom)s mer tid", who=who, whom=whom)
    dates = _("ny frist %(new)s", new=_date(new, names))
    former = " " + _("(før %(old)s)", old=_date(old, names)) if old else ""
    return _("%(text)s til «%(task)s»: %(dates)s%(former)s.", text=text, task=task.name, dates=dates, former=former)


def _more_time_asked(event: Event, names: Names) -> str:
    who, new = _who(event, names), _date(event.data.get("new"), names)
    return _("%(who)s ba om mer tid til «%(task)s»: til %(new)s.", who=who, task=_task(event, names).name, new=new)


def _more_time_refused(event: Event, names: Names) -> str:
    return _("%(who)s lot fristen for «%(task)s» stå.", who=_who(event, names), task=_task(event, names).name)


def _corrected(event: Event, names: Names) -> str:
    return _("%(who)s rettet svaret på «%(task)s»%(party)s.", **_about(event, names))


def _task_closed(event: Event, names: Names) -> str:
    task = _task(event, names)
    whom = task.party or _("den som hadde oppgaven")
    return _("Fristen for «%(task)s» gikk ut uten svar fra %(whom)s.", task=task.name, whom=whom)


def _taken_back(event: Event, names: Names) -> str:
    return _("%(who)s trakk svaret på «%(task)s»%(party)s.", **_about(event, names))


def _party_added(event: Event, names: Names) -> str:
    task = _task(event, names)
    return _("%(who)s spurte også %(party)s i «%(task)s».", who=_who(event, names), party=task.party, task=task.name)


def _party_removed(event: Event, names: Names) -> str:
    task = _task(event, names)
    return _("%(who)s tok %(party)s ut av «%(task)s».", who=_who(event, names), party=task.party, task=task.name)


def _document_added(event: Event, names: Names) -> str:
    if event.task_id is None:
        return _("%(who)s la en fil til saken.", who=_who(event, names))
    return _("%(who)s la ved en fil i «%(task)s»%(party)s.", **_about(event, names))


def _document_removed(event: Event, names: Names) -> str:
    if event.task_id is None:
        return _("%(who)s fjernet en fil fra saken.", who=_who(event, names))
    return _("%(who)s fjernet en fil i «%(task)s»%(party)s.", **_about(event, names))


def _reminded(event: Event, names: Names) -> str:
    mails = int(event.data.get("mails") or 0)
    count = tallord(mails)
    if mails == 1:
        return _("%(who)s sendte én påminnelse.", who=_who(event, names))
    return _("%(who)s sendte %(count)s påminnelser.", who=_who(event, names), count=count)


def _address(event: Event, names: Names) -> str:
    key = str(event.data.get("user") or "")
    name = names.people_by_key.get(key, key)
    return _("%(who)s rettet e-postadressen til %(name)s.", who=_who(event, names), name=name)


def _mail_resent(event: Event, names: Names) -> str:
    key = str(event.data.get("user") or "")
    name = names.people_by_key.get(key, key)
    return _("%(who)s fikk en e-post til %(name)s sendt på nytt.", who=_who(event, names), name=name)


def _away(event: Event, names: Names) -> str:
    return _(
        "%(deputy)s er stedfortreder for %(name)s til og med %(day)s.",
        name=_named(event, "user", names), deputy=_named(event, "to", names),
        day=_date(event.data.get("until"), names),
    )  # fmt: skip


def _uncovered(event: Event, names: Names) -> str:
    return _(
        "%(name)s er borte til og med %(day)s, og ingen er stedfortreder.",
        name=_named(event, "user", names), day=_date(event.data.get("until"), names),
    )  # fmt: skip


def _back(event: Event, names: Names) -> str:
    return _("%(name)s er tilbake.", name=_named(event, "user", names))


def _named(event: Event, key: str, names: Names) -> str:
    return names.people_by_key.get(str(event.data.get(key) or ""), _("En person"))


def _about(event: Event, names: Names) -> dict[str, str]:
    task = _task(event, names)
    party = " " + _("for %(party)s", party=task.party) if task.party else ""
    return {"who": _who(event, names), "task": task.name, "party": party}


_SENTENCES: Mapping[str, Callable[[Event, Names], str]] = {
    "started": _started,
    "warnings-confirmed": _warned,
    "completed": _completed,
    "cancelled": _cancelled,
    "facts-set": _facts,
    "incident": _incident,
    "migrated": _migrated,
    "migration-reverted": _migration_reverted,
    "message-received": _received,
    "message-sent": _sent,
    "signal-sent": _sent_signal,
    "signal-received": _signalled,
    "suspended": _suspended,
    "resumed": _resumed,
    "job-retried": _job_retried,
    "message-dropped": _dropped,
    "reopened": _reopened,
    "incident-retried": _retried,
    "incident-again": _again,
    "incident-passed": _passed,
    "incident-stands": _stands,
    "incident-skipped": _element_skipped,
    "variable-set": _variable,
    "moved": _put_elsewhere,
    "taken-back": _taken_back,
    "party-added": _party_added,
    "party-removed": _party_removed,
    "step-opened": _opened,
    "step-completed": _step_completed,
    "step-closed": _step_closed,
    "step-skipped": _step_skipped,
    "step-withdrawn": _step_withdrawn,
    "skipped": _skipped,
    "date-set": _date_set,
    "date-released": _date_set,
    "claimed": _claimed,
    "released": _released,
    "delegated": _delegated,
    "draft-saved": _draft_saved,
    "links-revoked": _links_revoked,
    "link-renewed": _link_renewed,
    "respondents-invited": _respondents_invited,
    "respondents-closed": _respondents_closed,
    "submitted": _submitted,
    "sent-back": _sent_back,
    "completed-task": _answered,
    "approved": _approved,
    "answered-on-behalf": _on_behalf,
    "task-closed": _task_closed,
    "document-added": _document_added,
    "document-removed": _document_removed,
    "extended": _extended,
    "more-time-asked": _more_time_asked,
    "more-time-refused": _more_time_refused,
    "corrected": _corrected,
    "reminded": _reminded,
    "address-corrected": _address,
    "mail-resent": _mail_resent,
    "absence-began": _away,
    "absence-uncovered": _uncovered,
    "absence-ended": _back,
}
#: Every kind that has words of its own.
KNOWN = frozenset(_SENTENCES)
