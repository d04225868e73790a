"""Several mails to one person that are due at once, said in one: the most urgent first, each with its own button."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment

from notifications import wording
from notifications.composing import Message, compose, html_templates, own_words, template_of, text_templates, values_of
from notifications.facts import Facts, Role

#: What may stand in one mail together with others.
BUNDLED = frozenset(
    {
        "assigned", "reminder", "remind_now", "overdue", "due_changed", "approval", "sent_back", "escalation",
        "incident",
    }
)  # fmt: skip


def compose_all(said: Sequence[Facts]) -> Message:
    """One mail that says all of it, in that order. Raises jinja2.TemplateError when a template is broken."""
    return compose(said[0]) if len(said) == 1 else _bundle(said)


def _bundle(said: Sequence[Facts]) -> Message:
    dates = sorted(facts.due for facts in said if facts.due is not None)
    values = values_of(said[0]) | {
        "count": len(said), "tasks": all(facts.role != Role.OWNER for facts in said),
        "first": dates[0] if len(dates) == len(said) and dates[0] >= said[0].today else None,
        "earlier": bool(dates) and dates[0] < dates[-1],
        "link_until": min((facts.link_until for facts in said if facts.link_until), default=None),
        "choices_url": next((facts.choices_url for facts in said if facts.choices_url), ""),
    }  # fmt: skip
    say: Any = text_templates().get_template(f"{values['lang']}/sentences.jinja").make_module(values)
    subject = wording.one_line(say.bundle_subject())
    text = _rendered(text_templates(), "layout/bundle.txt", said, values)
    html = _rendered(html_templates(), "layout/bundle.html", said, values | {"title": subject})
    return Message(subject=subject[:300], text=wording.plain(text).strip() + "\n", html=html)


def _rendered(templates: Environment, layout: str, said: Sequence[Facts], values: dict[str, Any]) -> str:
    return templates.get_template(layout).render(values, items=[_item(templates, facts) for facts in said])


def _item(templates: Environment, facts: Facts) -> dict[str, Any]:
    """What a mail of its own would say, without the ways out and the foot."""
    values, name = values_of(facts), template_of(facts)
    own = own_words(facts, name, values)
    words: Any = templates.get_template(f"{values['lang']}/{name}/words.jinja").make_module(values)
    return {
        "heading": own["heading"] or words.heading(), "lead": own["lead"] or words.lead(), "button": words.button(),
        "url": facts.url,
    }  # fmt: skip
