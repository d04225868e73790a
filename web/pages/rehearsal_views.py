"""A rehearsal as its page shows it: the verdict, and month by month who is asked and told what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from flask_babel import gettext as _

from engine.calendar import Calendar
from web.formatting import Formatter, antall, liste, tallord
from web.rehearsal_scenarios import Known, Question
from web.rehearsals import Event, Lived, RehearsedMail

#: Parties that are named one by one.
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A question of the model with the way that is tried; empty for the plan's own."""

    question: Question
    chosen: str

    @property
    def others(self) -> list[tuple[str, str]]:
        """The ways that the plan does not take."""
        return [(value, label) for value, label in self.question.ways if value != self.question.usual]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How it goes, in a line, with what to know about it."""

    heading: str
    color: str
    text: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Letter:
    """The same mail to one or several."""

    mail: RehearsedMail
    to: str
    others: tuple[RehearsedMail, ...]


@dataclass(frozen=True, kw_only=True)
class Day:
    """What happens on a day: lines with what is said first in them, and mails."""

    date: date
    lines: tuple[tuple[str, str], ...]
    letters: tuple[Letter, ...]


@dataclass(frozen=True, kw_only=True)
class Month:
    """A month with its days."""

    key: str
    name: str
    tasks: int
    mails: int
    days: tuple[Day, ...]


# --- verdict ----------------------------------------------------------------------------------------------------------


def verdict(lived: Lived, facts: Mapping[str, date], names: Mapping[str, str], words: Formatter) -> Verdict:
    """Whether the case reaches its meetings; `facts` are the dates it began with, `names` the bodies'."""
    heading, color = _heading(lived, facts, names, words)
    tasks = antall(sum(e.kind == "task" for e in lived.events), _("oppgave"), _("oppgaver"))
    mails = antall(len(lived.mails), _("e-post"), _("e-poster"))
    counts = _("I alt %(tasks)s og %(mails)s.", tasks=tasks, mails=mails)
    return Verdict(heading=heading, color=color, text=(*_half_answered(lived), *_overtaken(lived, words), counts))


def _heading(lived: Lived, facts: Mapping[str, date], names: Mapping[str, str], words: Formatter) -> tuple[str, str]:
    if lived.stopped:
        return _("Saken stopper: %(why)s", why=lived.stopped), "danger"
    if lived.stands_at:
        return _("Saken blir stående ved «%(step)s»", step=lived.stands_at[0]), "warning"
    last = max(facts, key=lambda name: facts[name], default="")
    if not last:
        return _("Saken kommer i mål"), "success"
    body, day = names.get(last, _("møtet")), lived.facts.get(last, facts[last])
    if day != facts[last]:
        moved = _("Saken kommer opp i %(body)s %(day)s, ikke %(was)s", body=body, day=words.dag(day),
                  was=words.dag(facts[last]))  # fmt: skip
        return moved, "warning"
    if list(_late(lived)):
        return _("Saken rekker %(body)s %(day)s, men noen frister ryker", body=body, day=words.dag(day)), "warning"
    return _("Saken rekker %(body)s %(day)s", body=body, day=words.dag(day)), "success"


def _late(lived: Lived) -> Iterator[Event]:
    """Steps that open when their time is up already."""
    return (e for e in lived.events if e.kind == "step-opened" and e.due is not None and e.due < e.at.date())


def _overtaken(lived: Lived, words: Formatter) -> Iterator[str]:
    for event in list(_late(lived))[:_NAMED]:
        if event.due is not None:
            yield _("«%(step)s» åpner etter fristen %(day)s.", step=event.subject, day=words.dag(event.due))


def _half_answered(lived: Lived) -> Iterator[str]:
    for event in lived.events:
        if event.kind == "step-closed" and event.completed < event.total:
            yield _("«%(step)s» lukker med %(count)s av %(total)s svar.", step=event.subject, count=event.completed,
                    total=event.total)  # fmt: skip


# --- month by month ---------------------------------------------------------------------------------------------------


def months(lived: Lived, calendar: Calendar, words: Formatter) -> list[Month]:
    """Every month in which something happens."""
    found = []
    days = [(day, list(events)) for day, events in groupby(lived.events, lambda e: calendar.local_date(e.at))]
    for (year, number), of_month in groupby(days, lambda pair: (pair[0].year, pair[0].month)):
        inside = list(of_month)
        kinds = [event.kind for _day, happened in inside for event in happened]
        shown = [_day_of(day, happened, lived) for day, happened in inside]
        found.append(
            Month(
                key=f"m{year}-{number:02}", name=words.month(date(year, number, 1)), tasks=kinds.count("task"),
                mails=kinds.count("mail"),
                days=tuple(day for day in shown if day.lines or day.letters),
            )
        )  # fmt: skip
    return found


def _day_of(day: date, events: Sequence[Event], lived: Lived) -> Day:
    return Day(date=day, lines=tuple(_lines(events)), letters=tuple(_letters(events, lived.mails)))


def _lines(events: Sequence[Event]) -> Iterator[tuple[str, str]]:
    for event in events:
        name = event.subject
        if event.round > 1:
            name = _("%(step)s, runde %(round)s", step=name, round=event.round)
        if event.kind == "step-opened":
            asked = [e.who for e in events if e.kind == "task" and e.step == event.step]
            yield _("%(step)s åpner.", step=name), _get_it(asked)
        elif event.kind == "step-closed" and event.total > 1:
            text = _("%(count)s av %(total)s svarte.", count=event.completed, total=event.total)
            yield _("%(step)s er ferdig.", step=name), text
        elif event.kind == "step-closed":
            yield _("%(step)s er ferdig.", step=name), ""
        elif event.kind == "end":
            yield _("Saken er ferdig."), ""


def _get_it(asked: Sequence[str]) -> str:
    if not asked:
        return ""
    who = liste(asked) if len(asked) <= _NAMED else tallord(len(asked), stor=True)
    return _("%(who)s får oppgaven.", who=who)


def _letters(events: Iterable[Event], mails: Sequence[RehearsedMail]) -> Iterator[Letter]:
    """Mails of the day; those that say the same to several are together."""
    groups: dict[tuple[object, ...], list[RehearsedMail]] = {}
    for event in events:
        if event.number is not None:
            mail = mails[event.number]
            groups.setdefault((mail.at, mail.rule, mail.element, mail.round), []).append(mail)
    for same in groups.values():
        names = [mail.to for mail in same]
        to = liste(names) if len(names) <= _NAMED else _("%(count)s personer", count=tallord(len(names)))
        if len({mail.subject for mail in same}) > 1:
            to = _("%(who)s, hver med sitt emne", who=to)
        yield Letter(mail=same[0], to=to, others=tuple(same[1:]))


# --- what if ----------------------------------------------------------------------------------------------------------


def choices(known: Known, wanted: Mapping[str, str]) -> list[Choice]:
    """The questions that one decides, with what is tried."""
    return [Choice(question=q, chosen=wanted.get(q.element, "")) for q in known.questions.values() if q.asks_one]
