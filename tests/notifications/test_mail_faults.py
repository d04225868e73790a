"""A mail server that is away, unwell or unwilling, for a day: nothing is lost, and everything leaves when it is back.

Real sockets, and the virtual clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from faulty_server import DROP, SILENCE, FaultyServer
from mail_rows import OPENED, Case, oslo

from notifications.delivery import send_again, send_batch
from notifications.local_server import free_port
from notifications.mailer import PatientMailer, SmtpMailer
from notifications.model import Delivery
from tests.fakes import FakeClock

NOW = oslo(9, 1)
PEOPLE = 3
#: How long the mailer waits for a word.
PATIENCE_SECONDS = 0.3
DAY = timedelta(days=1)
#: How often the worker looks. In truth every two seconds; that a dead server is then left in peace has its own test.
TICK = timedelta(hours=1)


@dataclass
class Post:
    """A worker's mails, its clock, and the server that it speaks with."""

    case: Case
    server: FaultyServer

    def __post_init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.mailer = PatientMailer(self.smtp(), self.clock)

    def smtp(self, port: int | None = None, **settings: Any) -> SmtpMailer:
        seconds = {"timeout_seconds": PATIENCE_SECONDS, "verdict_seconds": PATIENCE_SECONDS}
        return SmtpMailer(host="127.0.0.1", port=port or self.server.port, **seconds, **settings)

    def turn(self) -> None:
        while send_batch(self.case.database, self.mailer, clock=self.clock, settings=self.case.settings):
            pass

    def let_pass(self, duration: timedelta) -> None:
        end = self.clock() + duration
        while self.clock() < end:
            self.turn()
            self.clock.set(self.clock() + TICK)

    def mails(self) -> list[Delivery]:
        """Those that were due at first."""
        return [mail for mail in self.case.deliveries() if mail.planned_at <= NOW]

    def states(self) -> set[str]:
        return {mail.state for mail in self.mails()}

    def assert_everything_arrived_once(self) -> None:
        assert self.states() == {"sent"}
        assert sorted(self.server.accepted) == sorted(mail.message_id for mail in self.mails())

    def send_all_again(self) -> None:
        with self.case.database.transaction() as session:
            for mail in self.mails():
                send_again(session, session.get_one(Delivery, mail.id), now=self.clock())
        self.turn()


@pytest.fixture
def post(case: Case) -> Iterator[Post]:
    """Three mails are due."""
    case.crowd(PEOPLE)
    case.reconcile(OPENED)
    with FaultyServer() as server:
        yield Post(case, server)


@pytest.mark.parametrize(
    "faults",
    [
        {"connect": "554 go away"},
        {"connect": "421 busy"},
        {"connect": DROP},
        {"EHLO": "500 what?", "HELO": "500 what?"},
        {"EHLO": DROP},
        {"AUTH": "535 wrong password"},
        {"AUTH": "454 directory away"},
        {"MAIL": "421 closing"},
        {"MAIL": DROP},
        {"RCPT": "421 closing"},
        {"DATA": "421 closing"},
    ],
    ids=str,
)
def test_a_server_that_takes_nothing_for_a_day_costs_no_mail_an_attempt(post: Post, faults: dict[str, str]) -> None:
    post.mailer.mailer = post.smtp(user="avtaleflyt", password="hemmelig")
    post.server.faults = faults
    post.let_pass(DAY)
    assert {(mail.state, mail.attempts) for mail in post.mails()} == {("planned", 0)}
    # One knock at a time, however many wait.
    assert post.server.begun <= post.server.knocks <= DAY / TICK
    post.server.faults = {}
    post.turn()
    post.assert_everything_arrived_once()


def test_a_server_that_is_not_there_for_a_day(post: Post) -> None:
    there, post.mailer.mailer = post.mailer.mailer, post.smtp(port=free_port())
    post.let_pass(DAY)
    assert {(mail.state, mail.attempts) for mail in post.mails()} == {("planned", 0)}
    post.mailer.mailer = there
    post.turn()
    post.assert_everything_arrived_once()


def test_a_server_that_can_t_encrypt_is_never_talked_to_in_the_clear(post: Post) -> None:
    post.mailer.mailer = post.smtp(starttls=True, user="avtaleflyt", password="hemmelig")
    post.let_pass(DAY)
    assert {(mail.state, mail.attempts) for mail in post.mails()} == {("planned", 0)}
    assert post.server.begun == 0


@pytest.mark.parametrize("word", ["connect", "EHLO", "MAIL"])
def test_a_server_that_says_nothing_is_given_up_on_in_time(post: Post, word: str) -> None:
    post.server.faults = {word: SILENCE}
    post.let_pass(2 * TICK)
    assert {(mail.state, mail.attempts) for mail in post.mails()} == {("planned", 0)}
    post.server.faults = {}
    post.turn()
    post.assert_everything_arrived_once()


@pytest.mark.parametrize(
    "faults",
    [
        {"MAIL": "451 later"},
        {"MAIL": "550 not your address"},
        {"RCPT": "451 greylisted"},
        {"RCPT": DROP},
        {"DATA": "452 no room"},
        {"DATA": DROP},
        {".": "451 later"},
    ],
    ids=str,
)
def test_mails_that_are_put_off_for_a_day_all_leave_in_the_end(post: Post, faults: dict[str, str]) -> None:
    post.server.faults = faults
    post.let_pass(DAY)
    assert post.states() == {"planned"}
    post.server.faults = {}
    post.let_pass(timedelta(hours=8))
    post.assert_everything_arrived_once()


@pytest.mark.parametrize("faults", [{"RCPT": "550 no such user"}, {"DATA": "554 no"}, {".": "554 spam"}], ids=str)
def test_what_is_refused_for_good_waits_for_a_person(post: Post, faults: dict[str, str]) -> None:
    post.server.faults = faults
    post.let_pass(DAY)
    assert {(mail.state, mail.attempts) for mail in post.mails()} == {("failed", 1)}
    assert post.server.begun == PEOPLE
    post.server.faults = {}
    post.send_all_again()
    post.assert_everything_arrived_once()


@pytest.mark.parametrize("how", [DROP, SILENCE])
def test_when_the_acknowledgement_is_lost_nothing_is_sent_again_by_itself(post: Post, how: str) -> None:
    post.server.faults = {".": how}
    post.let_pass(10 * TICK)
    assert post.states() == {"uncertain"}
    # Each was said once; and one at a time, since the next might have had the same fate.
    assert sorted(post.server.unheard) == sorted(mail.message_id for mail in post.mails())
    assert post.server.knocks == PEOPLE
    post.server.faults = {}
    post.let_pass(DAY)
    assert post.server.accepted == []
    post.send_all_again()
    post.assert_everything_arrived_once()
    assert sorted(post.server.unheard) == sorted(post.server.accepted), "the same Message-ID both times"


def test_one_connection_carries_many_mails_and_is_made_anew_when_the_server_ends_it(post: Post) -> None:
    post.server.most = 2
    post.turn()
    post.assert_everything_arrived_once()
    assert post.server.knocks == 2
    assert {mail.attempts for mail in post.mails()} == {1}


def test_one_refused_mail_does_not_end_the_conversation(post: Post) -> None:
    post.server.faults = {"RCPT": "550 no such user"}
    post.turn()
    assert (post.states(), post.server.knocks, post.server.begun) == ({"failed"}, 1, PEOPLE)


def test_a_dead_server_is_left_in_peace_for_longer_and_longer_and_found_again_by_itself(post: Post) -> None:
    post.server.faults = {"connect": "554 go away"}
    knocks: list[int] = []
    for second in range(0, 1200, 2):
        post.clock.set(NOW + timedelta(seconds=second))
        before = post.server.knocks
        post.turn()
        knocks += [second] * (post.server.knocks - before)
    assert knocks == [0, 10, 40, 100, 220, 520, 820, 1120]
    post.server.faults = {}
    post.clock.advance(seconds=299)
    post.turn()
    post.assert_everything_arrived_once()


def test_a_clock_that_was_put_back_does_not_keep_the_server_waiting(post: Post) -> None:
    post.clock.advance(hours=1)
    post.server.faults = {"connect": DROP}
    post.turn()
    post.clock.advance(hours=-1)
    post.server.faults = {}
    post.turn()
    post.assert_everything_arrived_once()
