"""What notifications are told by the composition root."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from engine.model import ProcessInstance, Step


class Element(Protocol):
    """What a model says about telling people of one of its steps."""

    @property
    def reminders(self) -> tuple[int, ...]:
        """Working days before the due date."""

    def in_language(self, name: str, language: str) -> str | None:
        """In nb, nn or en: `subject`, a template with {due} {case} {party} {name}, or `action`, the button's words."""

    @property
    def minutes(self) -> int | None:
        """How long it takes."""

    @property
    def telling(self) -> str | None:
        """When people are written to, as `timing.read` reads it."""

    @property
    def escalate_after(self) -> int | None:
        """Working days after the due date when somebody is told who is silent."""

    @property
    def escalate_to(self) -> str | None:
        """The role that is told then, where it is not the owner."""


#: Finds the element of a step in the version of the model that the case is pinned to.
ElementReader = Callable[[Session, ProcessInstance, Step], Element]


@dataclass(frozen=True, kw_only=True)
class NotificationSettings:
    """How mails find the pages, and the models."""

    #: Public address of the site, without a slash at the end.
    base_url: str
    element: ElementReader
    #: How many mails all processes together hand to the mail server in any minute; `sys.maxsize`: as it comes.
    mails_per_minute: int = sys.maxsize
    #: Keys that sign the links in mails, the present one last; none: mails lead to where one signs in.
    link_keys: Callable[[], tuple[str, ...]] = field(default=tuple, repr=False)

    @property
    def host(self) -> str:
        """Right side of every Message-ID."""
        return urlsplit(self.base_url).hostname or "localhost"

    @property
    def choices_url(self) -> str:
        """Address of the page where people choose when they are written to."""
        return f"{self.base_url.rstrip('/')}/varsler"

    @property
    def overview_url(self) -> str:
        """Address of the leader's page."""
        return f"{self.base_url.rstrip('/')}/oversikt"

    def task_url(self, public_id: str) -> str:
        """Address of a task's page."""
        return f"{self.base_url.rstrip('/')}/oppgaver/{public_id}"

    def case_url(self, public_id: str) -> str:
        """Address of a case's page."""
        return f"{self.base_url.rstrip('/')}/saker/{public_id}"

    def meeting_url(self, public_id: str) -> str:
        """Address of a meeting's page."""
        return f"{self.base_url.rstrip('/')}/moter/{public_id}"
