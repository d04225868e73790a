"""An example of each kind of mail that can be reworded, for whoever writes the words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

from engine.calendar import Calendar
from engine.model import Community
from notifications.facts import Facts, Role
from notifications.link_times import AFTER_DUE
from notifications.rules import ESCALATION_AFTER
from notifications.texts import Texts

_DAYS_LEFT = 10


def sample(rule: str, locale: str, community: Community, calendar: Calendar, today: date, own: Texts) -> Facts:
    """Facts such as the survey of an evaluation has, in that language and with those words."""
    due = calendar.working_days_after(today, _DAYS_LEFT)
    passed = calendar.working_days_before(today, ESCALATION_AFTER)
    survey = Facts(
        rule=rule, role=Role.CONTACT, community=community.name, email=community.email,
        case="Evaluering av delavtale om helhetlige pasientforløp", number="17/26", commissioner="SSU",
        name="Svar på undersøkelsen", party="Larvik kommune", group=None,
        subject="Svar innen {due}: {case}" if locale == "nb" else None, action="Svar nå" if locale == "nb" else None,
        minutes=15, today=today, due=due, former_due=None, days_left=_DAYS_LEFT, closes=True,
        next_dates=(calendar.working_days_before(due, 3), due), silent=(), url="https://avtaleflyt.example.org/eksempel",
        locale=locale, texts=own, link_until=due + AFTER_DUE if community.mail_links else None,
    )  # fmt: skip
    late = replace(survey, due=passed, days_left=-ESCALATION_AFTER, closes=False, next_dates=())
    owners = replace(late, role=Role.OWNER, party=None, link_until=None)
    special: Mapping[str, Facts] = {
        "overdue": late,
        "due_changed": replace(survey, former_due=due - timedelta(days=7)),
        "approval": replace(survey, role=Role.APPROVER),
        "escalation": replace(owners, silent=("Larvik kommune", "Færder kommune")),
        "incident": replace(owners, name="", due=None, days_left=None, subject=None, action=None, minutes=None),
    }
    return special.get(rule, survey)
