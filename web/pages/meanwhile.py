"""What others did to a case while somebody looked at it: told in words to whoever came second."""

from collections.abc import Callable, Mapping
from functools import wraps

from flask import g, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from engine.errors import EngineError, NotFound, NotOpen, Stale
from engine.model import HistoryEvent, ProcessInstance, UserTask
from web.context import close_session, db, formatter, person
from web.pages import case_history, case_views
from web.pages.case_history import Entry

#: More than this is read in the case's history.
MOST = 4
#: Looked at where a form does not say how much of the history it knew.
_RECENT = 3
#: Fields that people write in even where they write one word.
_TEXTS = ("reason", "begrunnelse", "merknad", "value")

View = Callable[..., ResponseReturnValue]


def since(instance: ProcessInstance, task: UserTask | None = None) -> list[Entry]:
    """What happened to the case, or to one task of it, since this request's form was made; latest first."""
    query = select(HistoryEvent).where(HistoryEvent.instance_id == instance.id)
    if task is not None:
        query = query.where((HistoryEvent.task_id == task.id) | HistoryEvent.task_id.is_(None))
    known = request.form.get("seen", instance.history_length - _RECENT, type=int)
    query = query.where(HistoryEvent.sequence > min(known, instance.history_length - 1))
    events = list(db().scalars(query.order_by(HistoryEvent.sequence)))
    # What steps do follows from what somebody did, and is told only where nobody did anything.
    acts = [event for event in events if not event.kind.startswith("step-")] or events
    rows = case_views.read_rows(db(), instance)
    return case_history.entries(db(), instance, acts[-MOST:], rows.steps, rows.tasks, person(), formatter())


def is_second() -> bool:
    """Is this request's form shown again because somebody else was first?"""
    return "meanwhile" in g


def shown_again(view: View, find: Callable[[str], ProcessInstance], states: Mapping[str, tuple[str, ...]]) -> View:
    """The view of an act on a case, whose form comes again when somebody else was first, with what was typed in it.

    `find` gives the case that the reader may steer; `states` are those in which an act makes sense, `active` unless
    named by the view. In another state what was typed is shown for copying.
    """

    @wraps(view)
    def answered(**given: str) -> ResponseReturnValue:
        try:
            return view(**given)
        except (NotFound, NotOpen, Stale) as late:
            if request.method != "POST":
                raise
            return _second(late, given)

    def _second(late: EngineError, given: Mapping[str, str]) -> ResponseReturnValue:
        close_session()
        instance = find(given["id"])
        g.meanwhile = since(instance)
        if isinstance(late, Stale) and instance.state in states.get(view.__name__, ("active",)):
            try:
                return view(**given)
            except (NotFound, NotOpen):
                instance = find(given["id"])
        return not_done(instance), late.status

    return answered


def not_done(instance: ProcessInstance) -> str:
    """The page that says that an act was not done, and has what was typed."""
    return render_template("cases/not_done.html", instance=instance, happened=g.meanwhile, plain=written())


def written() -> str:
    """The texts in this request's form, to be copied: what people write has spaces, and codes have none."""
    texts = [text.strip() for name, text in request.form.items(multi=True) if name in _TEXTS or " " in text.strip()]
    return "\n\n".join(filter(None, texts))
