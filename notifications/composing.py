"""Turns facts into a mail: the same words for text and HTML, each set in its own layout.

`templates/<name>/words.jinja` holds what one kind of mail says, `templates/base/` the two layouts and the
sentences that all share. Words are rendered once per layout, so that only the HTML is escaped.
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

from notifications import wording
from notifications.facts import Facts, Role
from notifications.rules import kind

#: The width of the text part.
COLUMNS = 72

#: What the subject says where the model does not.
_SUBJECT = "{name} innen {due}: {case}"
_TOKEN = re.compile(r"\{(due|case|party|name)\}")
_INNEN = re.compile(r"\s*innen \{due\}")


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
    name = template_of(facts)
    values = {
        "facts": facts, "Role": Role, "verb": _verb(facts), "subject": _own_subject(facts),
        "action": facts.action or "Åpne oppgaven",
    }  # fmt: skip
    subject = _text_templates().get_template(f"{name}/subject.txt").render(values)
    text = _text_templates().get_template("base/body.txt").render(values, source=f"{name}/words.jinja")
    html = (
        _html_templates()
        .get_template("base/body.html")
        .render(values, source=f"{name}/words.jinja", title=wording.one_line(subject))
    )
    return Message(subject=wording.one_line(subject)[:300], text=wording.plain(text).strip() + "\n", html=html)


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
) -> EmailMessage:
    """The message as it goes to the server. Raises InvalidAddress; no text given here can add a header."""
    email = EmailMessage(policy=POLICY)
    email["From"] = _secretariat("From", community, sender)
    email["To"] = _address(recipient, address)
    email["Reply-To"] = _secretariat("Reply-To", community, sender)
    email["Subject"] = wording.one_line(message.subject)
    email["Date"] = format_datetime(date)
    email["Message-ID"] = wording.one_line(message_id)
    email["Auto-Submitted"] = "auto-generated"
    email.set_content(message.text, charset="utf-8", cte="quoted-printable")
    email.add_alternative(message.html, subtype="html", charset="utf-8", cte="quoted-printable")
    # Built again after a crash, the message is the same to the last byte.
    email.set_boundary(f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}")
    # After the parts: the headers about content move into the first of them.
    email["Content-Language"] = "nb"
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
    template = facts.subject or _SUBJECT
    if facts.due is None:
        template = _INNEN.sub("", template)
    values = {
        "due": wording.day(facts.due, facts.today) if facts.due else "", "case": wording.inside(facts.case),
        "party": facts.party or "", "name": facts.name,
    }  # fmt: skip
    return wording.opening(_TOKEN.sub(lambda token: values[token[1]], template))


def _verb(facts: Facts) -> str:
    """What is to be done: what the subject says before the date, else the step's name."""
    before, found, _ = (facts.subject or "").partition(" innen {due}")
    return before if found and before and not _TOKEN.search(before) else facts.name


def _is_late(facts: Facts) -> bool:
    return facts.due is not None and facts.today > facts.due


# --- templates ---


@lru_cache(maxsize=1)
def _text_templates() -> Environment:
    # Text is not HTML: nothing is escaped here, and control characters are taken out of the subject.
    return _prepared(Environment(autoescape=False))


@lru_cache(maxsize=1)
def _html_templates() -> Environment:
    return _prepared(Environment(autoescape=True))


def _prepared(environment: Environment) -> Environment:
    environment.loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment.undefined = StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {
        "day": _day, "weekday": _weekday, "days": _days, "working_days": wording.working_days,
        "number": wording.number, "joined": wording.joined, "opening": wording.opening,
        "inside": wording.inside,
        "paragraphs": paragraphs, "wrap": _wrap, "one_line": _joined_line,
    }  # fmt: skip
    environment.globals["nbsp"] = wording.NBSP
    return environment


@pass_context
def _day(context: Context, d: date) -> str:
    return wording.day(d, context["facts"].today)


@pass_context
def _weekday(context: Context, d: date) -> str:
    return wording.weekday(d, context["facts"].today)


@pass_context
def _days(context: Context, dates: tuple[date, ...]) -> str:
    return wording.days(dates, context["facts"].today)


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
