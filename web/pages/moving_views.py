"""What a move would bring, in the reader's words: choices first, then old and new, what got tighter, who is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import bodies
from agreements.model import Meeting
from agreements.moving import CasePreview, Choice, Option, Outcome, Preview
from engine.calendar import Calendar
from engine.model import ProcessInstance, User
from engine.planning import PlannedStep
from web.formatting import Formatter, antall, liste, nbsp, sitat
from web.pages import case_facts, moving_waits

# --- the page ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OptionView:
    """One radio button of a choice."""

    value: str
    label: str
    note: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class ChoiceView:
    """A date that can't follow."""

    case: str
    title: str
    heading: str
    text: str
    options: tuple[OptionView, ...]
    #: The option that the tables below show.
    shown: str


@dataclass(frozen=True, kw_only=True)
class RowView:
    """A step that moves."""

    name: str
    note: str
    old: date | None
    new: date | None
    told: str


@dataclass(frozen=True, kw_only=True)
class GroupView:
    """The steps of one case that move, and a sentence about the others."""

    title: str
    rows: tuple[RowView, ...]
    unchanged: str


@dataclass(frozen=True, kw_only=True)
class PreviewView:
    """Everything that the page of a move shows."""

    choices: tuple[ChoiceView, ...]
    #: What can't be done as chosen, in sentences.
    impossible: tuple[str, ...]
    groups: tuple[GroupView, ...]
    #: What moves beside the steps.
    waits: tuple[moving_waits.Group, ...]
    notes: tuple[str, ...]
    #: Names, with the deputy of whoever is away.
    told: tuple[str, ...]
    #: One to each person.
    letters: int
    #: Planned mails that move along.
    mails: int
    token: str

    @property
    def told_words(self) -> str:
        """ "23 personer får én e-post hver"."""
        return antall(self.letters, _("person"), _("personer"), stor=True)


def view(session: Session, tried: Preview, original: Preview, *, words: Formatter, calendar: Calendar) -> PreviewView:
    """The page of `tried`, which is `original` with what was chosen."""
    names = _names(session, tried)
    return PreviewView(
        choices=tuple(_choice(case, words) for case in tried.cases if case.choice is not None),
        impossible=tuple(impossible(tried, words)),
        groups=tuple(_group(case, names, words) for case in tried.cases if case.outcome.moved),
        waits=moving_waits.groups(session, tried, names, words),
        notes=(*_about_meeting(session, tried, words, calendar), *tighter(tried, words)),
        told=tuple(sorted(names[person] for person in tried.concerned if person in names)),
        letters=sum(person in names for person in tried.told),
        mails=sum(moving_waits.reminders_moved(case) for case in tried.cases),
        token=original.token,
    )


def _names(session: Session, tried: Preview) -> dict[int, str]:
    """Whoever is away bears the name of their deputy too, who gets the mail."""
    ids = {*tried.concerned, *tried.told}
    query = select(User.id, User.name).where(User.id.in_(ids), User.active)
    own = {row.id: row.name for row in session.execute(query)}
    return {person: _with_deputy(person, own, tried) for person in own}


def _with_deputy(person: int, own: Mapping[int, str], tried: Preview) -> str:
    deputy = own.get(tried.reader(person), "")
    if tried.reader(person) == person or not deputy:
        return own[person]
    return _("%(name)s (stedfortreder: %(deputy)s)", name=own[person], deputy=deputy)


# --- choices ----------------------------------------------------------------------------------------------------------


def _choice(case: CasePreview, words: Formatter) -> ChoiceView:
    choice = case.choice
    assert choice is not None, "asked of a case with a choice"
    chosen = next(option.key for option in choice.options if option.outcome is case.outcome)
    first, broken = choice.movers[0], choice.broken[0]
    others = [new.name for _old, new in choice.movers[1:]]
    text = _("Fristen ville blitt %(new)s.", new=words.dag(first[1].due or first[1].opens))
    if broken.element != first[1].element:
        text += " " + _(
            "Det er etter at «%(step)s» skal være ferdig %(due)s.", step=broken.name,
            due=words.dag(broken.due or broken.opens),
        )  # fmt: skip
    else:
        text += " " + _("Steget kan først åpne %(day)s.", day=words.dag(broken.opens))
    if others:
        text += " " + _("Det samme gjelder %(steps)s.", steps=liste([sitat(name) for name in others]))
    return ChoiceView(
        case=case.public_id, title=case.title, heading=_("«%(step)s» kan ikke følge med", step=first[1].name),
        text=text, options=tuple(_option(option, choice, chosen, words) for option in choice.options), shown=chosen,
    )  # fmt: skip


def _option(option: Option, choice: Choice, chosen: str, words: Formatter) -> OptionView:
    best = " " + _("(anbefalt)") if option is choice.options[0] and option.works else ""
    if option.kind == "follow":
        late = liste([sitat(step.name) for step in option.outcome.broken])
        day = words.dag(choice.movers[0][1].due or choice.movers[0][1].opens)
        label = _("La fristen bli %(day)s", day=day)
        note = _("Da åpner %(steps)s etter sin egen frist.", steps=late)
    elif option.kind == "keep":
        label = _("Behold fristen %(day)s", day=words.dag(option.dates[0][1])) + best
        note = _("De som har oppgaven, merker ingenting. Datoen blir stående som satt for hånd.")
    else:
        label = _("Sett fristen til %(day)s", day=words.dag(option.dates[0][1])) + best
        note = _("Da rekker de neste stegene fristene sine. Datoen blir stående som satt for hånd.")
    return OptionView(value=option.key, label=label, note=note, chosen=option.key == chosen)


# --- what moves -------------------------------------------------------------------------------------------------------


def _group(case: CasePreview, names: Mapping[int, str], words: Formatter) -> GroupView:
    by_hand = {step.element for step in _set_by_hand(case)}
    rows = tuple(
        RowView(
            name=step.name, note=_("Satt for hånd") if step.key[1] in by_hand else "", old=step.old, new=step.new,
            told=people(step.people, names),
        )
        for step in case.outcome.moved
    )  # fmt: skip
    return GroupView(title=case.title, rows=rows, unchanged=_unchanged(case.outcome))


def _set_by_hand(case: CasePreview) -> list[PlannedStep]:
    if case.choice is None:
        return []
    return [step for option in case.choice.options if option.outcome is case.outcome for step, _day in option.dates]


def people(ids: Iterable[int], names: Mapping[int, str]) -> str:
    """Who is told, by name where they are few."""
    return moving_waits.counted([names[person] for person in ids if person in names])


def _unchanged(outcome: Outcome) -> str:
    kept = list(dict.fromkeys(step.name for step in outcome.unchanged))
    if not kept:
        return ""
    listed = (
        liste([sitat(name) for name in kept])
        if len(kept) <= moving_waits.NAMES
        else _("fra «%(first)s» til «%(last)s»", first=kept[0], last=kept[-1])
    )
    count = antall(len(kept), _("steg"), _("steg"), "ett")
    return _("Uendret: %(count)s, %(listed)s. Ingen får e-post om dette.", count=count, listed=listed)


# --- more time for one ------------------------------------------------------------------------------------------------


def of_more_time(session: Session, instance: ProcessInstance, tried: Preview, words: Formatter) -> list[str]:
    """What more time for one task does to the rest of the case."""
    outcome = tried.cases[0].outcome
    worse = [*impossible(tried, words), *tighter(tried, words)]
    if outcome.broken or outcome.stopped:
        return worse
    dates = [f"{b.name} {words.dag(b.day)}" for b in case_facts.dates_of(session, instance) if b.day >= words.today]
    kept = [_("Rekkes som før: %(dates)s.", dates=liste(dates))] if dates else []
    return [*kept, *worse]


# --- what is worth knowing --------------------------------------------------------------------------------------------


def _about_meeting(session: Session, tried: Preview, words: Formatter, calendar: Calendar) -> list[str]:
    change = tried.change
    found = []
    if change.meeting_id is not None and change.new is not None:
        body = session.get_one(Meeting, change.meeting_id).body
        odd = bodies.meeting_warnings(calendar, body, change.new, words.today)
        found += [nbsp(warning.message) for warning in odd]
        if change.onto_id is not None:
            text = _(
                "%(body)s har alt et møte %(new)s. Sakene flyttes dit, og møtet %(old)s blir stående uten dem.",
                body=body.short_name,
                new=words.dag(change.new),
                old=words.dag(change.old or change.new),
            )
            found.append(text)
    for title in change.on_hold:
        found.append(_("«%(case)s» er satt på vent og følger ikke med. Fortsett saken først.", case=title))
    return found


def impossible(tried: Preview, words: Formatter) -> list[str]:
    """Steps that would open after they are due, and cases that would stop."""
    found = []
    for case in tried.cases:
        for step in case.outcome.broken:
            found.append(
                _(
                    "«%(step)s» går ikke: steget åpner %(opens)s, og fristen er %(due)s. Velg en annen dato.",
                    step=step.name,
                    opens=words.dag(step.opens),
                    due=words.dag(step.due or step.opens),
                )
            )
        if case.outcome.stopped:
            found.append(_("Saken «%(case)s» stopper: %(why)s", case=case.title, why=case.outcome.stopped))
    return found


def tighter(tried: Preview, words: Formatter) -> list[str]:
    """Steps that get fewer working days."""
    return [_shorter(old, new, words) for case in tried.cases for old, new in case.outcome.tighter]


def _shorter(old: PlannedStep, new: PlannedStep, words: Formatter) -> str:
    has, had = words.virkedager(new.working_days or 0), str(old.working_days)
    text = _("«%(step)s» får %(days)s. Før var det %(before)s.", step=new.name, days=has, before=had)
    if new.minimum_working_days and (new.working_days or 0) < new.minimum_working_days:
        text += " " + _("Steget bør ha minst %(least)s.", least=words.virkedager(new.minimum_working_days))
    return text


def subject(tried: Preview, meeting: Meeting | None, words: Formatter) -> str:
    """The subject of the mail that sums up."""
    change = tried.change
    if meeting is None or change.new is None or change.old is None:
        return _("Nye datoer: %(case)s", case=tried.cases[0].title if tried.cases else "")
    return _(
        "Ny dato for %(body)s: %(new)s (før %(old)s)",
        body=meeting.body.short_name,
        new=words.dag(change.new),
        old=words.dag(change.old),
    )
