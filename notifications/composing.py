"""Turns facts into a mail: the same words for text and HTML, each set in its own layout.

`templates/<language>/<name>/words.jinja` holds what one kind of mail says, `templates/<language>/sentences.jinja` what
they share, and `templates/layout/` how they look. Words are rendered once per layout, so that only the HTML is escaped.
"""

import hashlib
import re
import textwrap
from dataclasses import dataclass
from datetime import date, datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from notifications import texts, wording
from notifications.facts import Facts, Role
from notifications.rules import kind

#: The width of the text part.
COLUMNS = 72

#: What the subject says where the model says nothing in the reader's language.
_SUBJECTS = {"nb": "{name} innen {due}: {case}", "nn": "{name} innan {due}: {case}", "en": "{name} by {due}: {case}"}
_TOKEN = re.compile(r"\{(due|case|party|name)\}")
#: Kinds of mail that are not one text with one button.
_LAYOUTS = {"leader_week": "overview"}
_BY = re.compile(r"\s*(innen|innan|by) \{due\}")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A mail's content; the subject is one line of plain text."""

    subject: str
    text: str
    html: str


class InvalidAddress(ValueError):
    """No mail can be sent to this address."""


class _Policy(EmailPolicy):
    """SMTP's policy, but a subject beyond ASCII is encoded whole.

    The library encodes only some of its words, and readers then see two spaces where the encoding begins.
    """

    def fold(self, name: str, value: str) -> str:
        """One header with its line breaks."""
        if name.lower() != "subject" or value.isascii():
            return str(super().fold(name, value))
        encoded = Header(str(value), "utf-8", header_name=name).encode(linesep=self.linesep)
        return f"{name}: {encoded}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        """One header as it goes over the wire."""
        return self.fold(name, value).encode("ascii", "surrogateescape")


POLICY = _Policy(linesep="\r\n")


def compose(facts: Facts) -> Message:
    """The mail that says these facts. Raises jinja2.TemplateError when a template is broken."""
    name, values = template_of(facts), values_of(facts)
    lang = values["lang"]
    source = f"{lang}/{name}/words.jinja"
    own = own_words(facts, name, values)
    standard = text_templates().get_template(f"{lang}/{name}/subject.txt").render(values)
    subject = wording.one_line(own["subject"] or standard)
    layout = _LAYOUTS.get(name, "body")
    text = text_templates().get_template(f"layout/{layout}.txt").render(values, source=source, own=own)
    html = html_templates().get_template(f"layout/{layout}.html").render(values, source=source, own=own, title=subject)
    return Message(subject=subject[:300], text=wording.plain(text).strip() + "\n", html=html)


def values_of(facts: Facts) -> dict[str, Any]:
    """What every template is given."""
    return {
        "facts": facts, "Role": Role, "lang": language_of(facts), "verb": _verb(facts), "subject": _own_subject(facts),
        "action": facts.action,
    }  # fmt: skip


def language_of(facts: Facts) -> str:
    """The language of the mail; Bokmål where we don't have the reader's."""
    return facts.locale if facts.locale in wording.LANGUAGES else "nb"


def own_words(facts: Facts, name: str, values: dict[str, Any]) -> dict[str, str | None]:
    """The community's own words for this mail, by part; None where the standard ones hold, or a value is missing."""
    lang = values["lang"]
    templates = facts.texts.get((name, lang))
    if not templates:
        return dict.fromkeys(texts.PARTS)
    say: Any = text_templates().get_template(f"{lang}/sentences.jinja").make_module(values)
    words, due, former = wording.LANGUAGES[lang], facts.due, facts.former_due
    known = {
        "case": wording.inside(facts.case), "number": facts.number or "", "community": facts.community,
        "name": facts.name, "party": facts.party or "", "why": _joined_line(say.why()),
        "effort": _joined_line(say.effort()), "silent": words.joined(facts.silent) if facts.silent else "",
        "due": words.day(due, facts.today) if due else "", "former": words.day(former, facts.today) if former else "",
        "days": words.working_days(facts.days_left) if facts.days_left is not None and facts.days_left >= 0 else "",
    }  # fmt: skip
    return {part: texts.fill(templates[part], known) if part in templates else None for part in texts.PARTS}


def template_of(facts: Facts) -> str:
    """The folder of the mail's words; a reminder after the due date speaks as one."""
    name = kind(facts.rule)
    if name in ("reminder", "remind_now"):
        return "overdue" if _is_late(facts) else "reminder"
    return name


def email_message(
    message: Message,
    *,
    community: str,
    sender: str,
    recipient: str,
    address: str,
    message_id: str,
    date: datetime,
    locale: str = "nb",
    unsubscribe: str | None = None,
    calendar: tuple[str, str] | None = None,
) -> EmailMessage:
    """The message as it goes to the server. Raises InvalidAddress; no text given here can add a header.

    `unsubscribe` is the address that a mail program may call by itself, in one click. `calendar` is what calendars read
    of it: the method, and the text.
    """
    email = EmailMessage(policy=POLICY)
    email["From"] = _secretariat("From", community, sender)
    email["To"] = _address(recipient, address)
    email["Reply-To"] = _secretariat("Reply-To", community, sender)
    email["Subject"] = wording.one_line(message.subject)
    email["Date"] = format_datetime(date)
    email["Message-ID"] = wording.one_line(message_id)
    email["Auto-Submitted"] = "auto-generated"
    if unsubscribe is not None:
        email["List-Unsubscribe"] = f"<{unsubscribe}>"
        email["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    email.set_content(message.text, charset="utf-8", cte="quoted-printable")
    email.add_alternative(message.html, subtype="html", charset="utf-8", cte="quoted-printable")
    if calendar is not None:
        method, text = calendar
        parameters = {"method": method}
        email.add_alternative(text, subtype="calendar", charset="utf-8", cte="base64", params=parameters)
    # Built again after a crash, the message is the same to the last byte.
    email.set_boundary(f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}")
    # After the parts: the headers about content move into the first of them.
    email["Content-Language"] = locale if locale in wording.LANGUAGES else "nb"
    return email


@lru_cache(maxsize=100)
def _secretariat(header: str, community: str, sender: str) -> Any:
    """A header that every mail of a community has; parsing it anew took a tenth of making the mail."""
    return POLICY.header_factory(header, _address(f"Sekretariatet i {community}", sender))


def _address(name: str, address: str) -> Address:
    """The mailbox; a domain with letters such as æ becomes what the name servers know it as."""
    try:
        parsed = Address(addr_spec=address)
        domain = parsed.domain.encode("idna").decode("ascii")
        parsed.username.encode("ascii")
        mailbox = Address(display_name=wording.one_line(name), username=parsed.username, domain=domain)
    except (ValueError, MessageError, IndexError) as error:
        raise InvalidAddress(f"{address!r} is no mail address.") from error
    if not parsed.username or not domain or not address.isprintable():
        raise InvalidAddress(f"{address!r} is no mail address.")
    return mailbox


# --- words ---


def _own_subject(facts: Facts) -> str:
    """The model's subject with this task's names and date."""
    lang = language_of(facts)
    template = facts.subject or _SUBJECTS[lang]
    if facts.due is None:
        template = _BY.sub("", template)
    values = {
        "due": wording.LANGUAGES[lang].day(facts.due, facts.today) if facts.due else "",
        "case": wording.inside(facts.case), "party": facts.party or "", "name": facts.name,
    }  # fmt: skip
    return wording.opening(_TOKEN.sub(lambda token: values[token[1]], template))


def _verb(facts: Facts) -> str:
    """What is to be done: what the subject says before the date, else the step's name."""
    lang = language_of(facts)
    by = _BY.search(facts.subject or "")
    before = (facts.subject or "")[: by.start()] if by else ""
    if before and not _TOKEN.search(before):
        return before
    return f"“{facts.name}”" if lang == "en" else facts.name


def _is_late(facts: Facts) -> bool:
    return facts.due is not None and facts.today > facts.due


# --- templates ---


@lru_cache(maxsize=1)
def text_templates() -> Environment:
    """Templates of plain text."""
    # Text is not HTML: nothing is escaped here, and control characters are taken out of the subject.
    return _prepared(Environment(autoescape=False))


@lru_cache(maxsize=1)
def html_templates() -> Environment:
    """Templates of HTML: whatever is put into them is escaped."""
    return _prepared(Environment(autoescape=True))


def _prepared(environment: Environment) -> Environment:
    environment.loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment.undefined = StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {
        "day": _day, "weekday": _weekday, "days": _days, "working_days": _working_days, "number": _number,
        "joined": _joined, "opening": wording.opening, "inside": wording.inside,
        "paragraphs": paragraphs, "wrap": _wrap, "one_line": _joined_line,
    }  # fmt: skip
    environment.globals["nbsp"] = wording.NBSP
    return environment


def _words(context: Context) -> wording.Language:
    return wording.LANGUAGES[context["lang"]]


@pass_context
def _day(context: Context, d: date) -> str:
    return _words(context).day(d, context["facts"].today)


@pass_context
def _weekday(context: Context, d: date) -> str:
    return _words(context).weekday(d, context["facts"].today)


@pass_context
def _days(context: Context, dates: tuple[date, ...]) -> str:
    return _words(context).days(dates, context["facts"].today)


@pass_context
def _working_days(context: Context, n: int) -> str:
    return _words(context).working_days(n)


@pass_context
def _number(context: Context, n: int) -> str:
    return _words(context).number(n)


@pass_context
def _joined(context: Context, words: list[str]) -> str:
    return _words(context).joined(words)


def paragraphs(text: str) -> list[str]:
    """The text's paragraphs, each on one line; what was escaped stays so."""
    kept = Markup if isinstance(text, Markup) else str
    parts = (_squeezed(part) for part in re.split(r"\n\s*\n", str(text)))
    return [kept(part) for part in parts if part]


def _joined_line(text: str) -> str:
    """The text on one line; what was escaped stays so."""
    return Markup(_squeezed(str(text))) if isinstance(text, Markup) else _squeezed(text)


def _squeezed(text: str) -> str:
    # Ordinary white space only: a no-break space keeps a date together.
    return re.sub(r"[ \t\r\n]+", " ", text).strip(" ")


def _wrap(text: str) -> str:
    return textwrap.fill(text, COLUMNS, break_long_words=False, break_on_hyphens=False)
