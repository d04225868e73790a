"""AU har sendt saken tilbake: an extra meeting or the next decision, both plans side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from agreements import sent_back
from agreements.moving import Key
from agreements.sent_back import Offer
from engine import identity
from engine.model import ProcessInstance
from engine.planning import PlannedStep
from web.context import db, formatter, now, person, services
from web.formatting import antall
from web.moves import world
from web.pages import act_forms, moving


@dataclass(frozen=True, kw_only=True)
class OfferView:
    """One of the plans."""

    kind: str
    label: str
    short: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A step's due date in one of the plans."""

    due: date | None
    note: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step in each of the plans; None where a plan has it not."""

    name: str
    cells: tuple[Cell | None, ...]


def choose(id: str) -> ResponseReturnValue:
    """Choose where a case that was sent back goes; see what follows; move it."""
    instance = act_forms.own(db(), person(), id)
    if not sent_back.is_sent_back(db(), instance):
        return act_forms.page("not_sent_back.html", instance, status=409)
    around = world(services().notifications, now())
    offers = sent_back.offers(db(), instance, actor=person(), now=now(), world=around)
    if act_forms.is_shown():
        return _page(instance, offers)
    problems: list[act_forms.Problem] = []
    chosen = next((offer for offer in offers if offer.kind == request.form.get("plan")), None)
    if chosen is None:
        problems.append(act_forms.Problem(field="plan", message=_("Velg en av planene.")))
    reason = act_forms.reason_given(problems, _("Skriv hvorfor. Begrunnelsen står i historikken."))
    if problems or chosen is None:
        return _page(instance, offers, problems)
    return moving.on_case(
        instance, chosen.tried.change, reason, _("Saken har fått nytt møte, og fristene har fulgt med.")
    )


def needed(instance: ProcessInstance) -> bool:
    """Is the case sent back, and theirs to steer?"""
    return identity.owns(person(), instance) and sent_back.is_sent_back(db(), instance)


def for_other_pages() -> dict[str, Callable[[ProcessInstance], bool]]:
    """What the page of a case asks."""
    return {"needs_new_meeting": needed}


def _page(
    instance: ProcessInstance, offers: Sequence[Offer], problems: Sequence[act_forms.Problem] = ()
) -> ResponseReturnValue:
    views = [_view(offer) for offer in offers]
    return act_forms.page("sent_back.html", instance, problems, offers=views, rows=_rows(offers))


def _view(offer: Offer) -> OfferView:
    words = formatter()
    au, ssu = words.dag(offer.au), words.dag(offer.ssu)
    if offer.kind == "extra":
        label = _("Ekstra møte i AU %(au)s, og SSU %(ssu)s som planlagt", au=au, ssu=ssu)
    else:
        label = _("SSU %(ssu)s, med AU %(au)s", ssu=ssu, au=au)
    name = _("Ekstra AU %(au)s", au=au) if offer.kind == "extra" else _("SSU %(ssu)s", ssu=ssu)
    return OfferView(kind=offer.kind, label=label, short=name, note=_short_of_time(offer))


def _short_of_time(offer: Offer) -> str:
    """How many steps get less time than they ought to have, in words."""
    late = [step for step in _steps(offer).values() if _is_short(step)]
    if not late:
        return _("Alle stegene får tiden de bør ha.")
    steps = antall(len(late), _("steg"), _("steg"), "ett", stor=True)
    return _("%(steps)s får kortere tid enn anbefalt.", steps=steps)


def _is_short(step: PlannedStep) -> bool:
    least, has = step.minimum_working_days, step.working_days
    return least is not None and has is not None and has < least


def _steps(offer: Offer) -> dict[Key, PlannedStep]:
    outcome = offer.tried.cases[0].outcome
    moved = [step.after for step in outcome.moved if step.after is not None]
    return {(s.call_path, s.element, s.round): s for s in (*moved, *outcome.unchanged)}


def _rows(offers: Sequence[Offer]) -> list[Row]:
    plans = [_steps(offer) for offer in offers]
    keys = dict.fromkeys(key for plan in plans for key in plan)
    first = {key: next(plan[key] for plan in plans if key in plan) for key in keys}
    ordered = sorted(keys, key=lambda key: (first[key].due or date.max, first[key].opens))
    return [Row(name=first[key].name, cells=tuple(_cell(plan.get(key)) for plan in plans)) for key in ordered]


def _cell(step: PlannedStep | None) -> Cell | None:
    if step is None:
        return None
    days = formatter().virkedager(step.working_days) if step.working_days is not None else ""
    if _is_short(step):
        days = _("%(days)s, bør ha %(least)s", days=days, least=step.minimum_working_days)
    return Cell(due=step.due, note=days)
