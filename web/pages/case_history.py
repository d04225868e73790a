"""Reads a case's history with the names its sentences need, and leaves out what is not for this reader."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from engine import deployments, identity
from engine.form_definitions import fields_of, read_components
from engine.identity import Person
from engine.model import HistoryEvent, ProcessInstance, Step, User, UserTask
from web.formatting import Formatter
from web.pages import case_status, history_words
from web.pages.history_words import Names, StepName, TaskName

#: Reasons that everyone in the case may read: they are about the case, not about one party's answer.
_OPEN_NOTES = frozenset(
    {"facts-set", "cancelled", "skipped", "suspended", "resumed", "reopened", "moved", "incident-skipped"}
    | {"party-added", "party-removed"}
)
#: What only the owner reads of an event's data: a variable may be somebody's answer.
_OWNERS = {"variable-set": ("old", "new")}
OUTCOME = "utfall"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened: `text` in words, `note` as the person wrote it."""

    at: datetime
    text: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """An event as this reader may see it."""

    kind: str
    actor_id: int | None
    on_behalf_of_id: int | None
    task_id: int | None
    data: dict[str, Any]


def entries(
    session: Session,
    instance: ProcessInstance,
    events: Sequence[HistoryEvent],
    steps: Sequence[Step],
    tasks: Sequence[UserTask],
    person: Person,
    words: Formatter,
) -> list[Entry]:
    """These events in words, latest first, without what stays inside a party."""
    by_id = {task.id: task for task in tasks}
    open_steps = {step.id for step in steps if step.state == "open"}
    names = _names(session, instance, events, steps, by_id, words)
    owner = identity.owns(person, instance)
    found: list[Entry] = []
    for event in reversed(events):
        task = by_id.get(event.task_id or 0)
        concerned = task is not None and identity.concerns(person, task)
        if event.kind in history_words.INTERNAL and not (owner or concerned):
            continue
        released = owner or concerned or task is None or task.step_id not in open_steps
        hidden = () if owner else _OWNERS.get(event.kind, ())
        text = history_words.sentence(_shown(event, released=released, hidden=hidden), names)
        found.append(Entry(at=event.at, text=text, note=_note(event, owner=owner, concerned=concerned)))
    return found


def _shown(event: HistoryEvent, *, released: bool, hidden: Collection[str]) -> _Shown:
    kept_back = {*hidden, *(() if released else ("outcome",))}
    data = {name: value for name, value in event.data.items() if name not in kept_back}
    return _Shown(
        kind=event.kind, actor_id=event.actor_id, on_behalf_of_id=event.on_behalf_of_id, task_id=event.task_id,
        data=data,
    )  # fmt: skip


def _note(event: HistoryEvent, *, owner: bool, concerned: bool) -> str:
    """What an approver wants changed stays between the two; other reasons are for the owner and those concerned."""
    if event.kind == "sent-back":
        return event.note or "" if concerned else ""
    return event.note or "" if owner or concerned or event.kind in _OPEN_NOTES else ""


def by_day(found: Iterable[Entry], words: Formatter, limit: int) -> list[Entry]:
    """Entries of the same day put together, at most `limit` days; today's stand alone with their time."""
    days: list[list[Entry]] = []
    last: date | None = None
    for entry in found:
        day = entry.at.astimezone(words.zone).date()
        if last is None or day != last or day == words.today:
            days.append([])
        days[-1].append(entry)
        last = day
        if len(days) > limit:
            break
    return [_together(group) for group in days[:limit]]


def _together(group: Sequence[Entry]) -> Entry:
    if len(group) == 1:
        return group[0]
    ordered = list(reversed(group))
    texts = dict.fromkeys(_with_note(entry) for entry in ordered)
    return replace(group[0], text=" ".join(texts), note="")


def _with_note(entry: Entry) -> str:
    return f"{entry.text} " + _("Begrunnelse: «%(note)s»", note=entry.note) if entry.note else entry.text


def major(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """The events of the short list: an answer that was approved is told once."""
    approved = {event.task_id for event in events if event.kind == "approved"}
    return [
        event
        for event in events
        if event.kind not in history_words.MINOR and not (event.kind == "submitted" and event.task_id in approved)
    ]


# --- names ------------------------------------------------------------------------------------------------------------


def _names(
    session: Session,
    instance: ProcessInstance,
    events: Sequence[HistoryEvent],
    steps: Sequence[Step],
    tasks: Mapping[int, UserTask],
    words: Formatter,
) -> Names:
    people = _people(session, instance, events)
    asked: dict[int, list[UserTask]] = {}
    for task in tasks.values():
        asked.setdefault(task.step_id, []).append(task)
    return Names(
        day=words.dag,
        people={user.id: user.name for user in people},
        people_by_key={user.key: user.name for user in people},
        tasks={task.id: TaskName(name=task.name, party=task.item_name or "") for task in tasks.values()},
        steps={s.element_id: StepName(name=s.name, asked=case_status.kind_of(asked.get(s.id, []))) for s in steps},
        elements=element_names(session, instance),
        outcome=_Outcomes(session, instance, tasks),
    )


def _people(session: Session, instance: ProcessInstance, events: Sequence[HistoryEvent]) -> Sequence[User]:
    ids = {i for event in events for i in (event.actor_id, event.on_behalf_of_id) if i}
    keys = {str(event.data[name]) for event in events for name in ("to", "user") if event.data.get(name)}
    if not ids and not keys:
        return ()
    query = select(User).where(User.community_id == instance.community_id)
    return session.scalars(query.where(or_(User.id.in_(ids), User.key.in_(keys)))).all()


def element_names(session: Session, instance: ProcessInstance) -> dict[str, str]:
    """What the model's elements are called, for places that never became a step."""
    found: dict[str, str] = {}
    for model in deployments.compiled(session, instance).specification.models.values():
        for element in model.root.iter():
            if (key := element.get("id")) and (name := element.get("name")):
                found.setdefault(key, " ".join(name.split()))
    return found


class _Outcomes:
    """What a form calls the outcomes it offers."""

    def __init__(self, session: Session, instance: ProcessInstance, tasks: Mapping[int, UserTask]) -> None:
        self._forms = deployments.compiled(session, instance).forms
        self._tasks = tasks

    def __call__(self, task_id: int | None, code: str) -> str:
        task = self._tasks.get(task_id or 0)
        definition = self._forms.get(task.form_key or "") if task else None
        if definition is None:
            return code.replace("_", " ")
        fields = fields_of(read_components(definition.get("components")))
        labels = {o.value: o.label for field in fields if field.key == OUTCOME for o in field.options}
        return str(labels.get(code, code.replace("_", " ")))
