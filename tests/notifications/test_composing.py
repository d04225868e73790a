"""What mails say, as text and HTML. To accept a new text, delete its snapshot and run the test twice."""

from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agreements.slipping import Closing, Coming, Slip
from notifications import composing
from notifications.bundles import compose_all
from notifications.composing import InvalidAddress, Message, compose, email_message, template_of
from notifications.facts import Facts, Role
from notifications.mailer import wire_format
from notifications.moves import ChangedDate, News
from notifications.week_news import CaseNews, DeadlineNews, Names, Section, Week

SNAPSHOTS = Path(__file__).parent / "snapshots"

SURVEY = Facts(
    rule="assigned", role=Role.CONTACT, community="Helsefellesskapet i Vestfold",
    email="sekretariatet@example.org",
    case="Evaluering av delavtale om helhetlige pasientforløp", number="17/26", commissioner="SSU",
    name="Svar på undersøkelsen", party="Larvik kommune", group=None, subject="Svar innen {due}: {case}",
    action="Svar nå", minutes=15, today=date(2026, 9, 1), due=date(2026, 9, 30), former_due=None,
    days_left=21,
    closes=True, next_dates=(date(2026, 9, 16), date(2026, 9, 25), date(2026, 9, 30)), silent=(),
    url="https://avtaleflyt.example.org/oppgaver/k7dm2xq9abcd", link_until=date(2026, 10, 14),
)  # fmt: skip
PLAN = replace(
    SURVEY, role=Role.MEMBER, name="Planlegg og avklar parter", party=None, group="Sekretariatet",
    subject=None,
    action=None, minutes=None, due=date(2026, 6, 16), today=date(2026, 5, 15), days_left=20, closes=False,
    commissioner=None, next_dates=(date(2026, 6, 2), date(2026, 6, 11), date(2026, 6, 16), date(2026, 6, 17)),
)  # fmt: skip
LATE = replace(SURVEY, rule="overdue", closes=False, today=date(2026, 10, 1), days_left=-1, next_dates=())
MAILS = {
    "assigned": SURVEY,
    "assigned_to_group": PLAN,
    "reminder_10": replace(SURVEY, rule="reminder:10", today=date(2026, 9, 16), days_left=10,
        next_dates=SURVEY.next_dates[1:]),
    "reminder_3": replace(SURVEY, rule="reminder:3", today=date(2026, 9, 25), days_left=3,
        next_dates=SURVEY.next_dates[2:]),
    "reminder_0": replace(SURVEY, rule="reminder:0", today=date(2026, 9, 30), days_left=0, next_dates=()),
    "reminder_to_approver": replace(
        SURVEY, rule="reminder:3", role=Role.APPROVER, today=date(2026, 9, 25), days_left=3, next_dates=()
    ),
    "overdue": LATE,
    "overdue_to_group": replace(PLAN, rule="overdue", today=date(2026, 6, 17), days_left=-1, next_dates=()),
    "due_changed": replace(
        SURVEY, rule="due_changed", today=date(2026, 9, 3), former_due=date(2026, 9, 30),
        due=date(2026, 10, 2),
        next_dates=(date(2026, 9, 18), date(2026, 9, 29), date(2026, 10, 2)),
    ),
    "approval": replace(SURVEY, rule="approval", role=Role.APPROVER, today=date(2026, 9, 10), days_left=14),
    "sent_back": replace(SURVEY, rule="sent_back", today=date(2026, 9, 11), days_left=13),
    "escalation": replace(
        LATE, rule="escalation", role=Role.OWNER, party=None, today=date(2026, 10, 2), days_left=-2,
        silent=("Larvik kommune", "Færder kommune"), link_until=None, url="https://avtaleflyt.example.org/saker/sakensnummer",
    ),
    "incident": replace(
        SURVEY, rule="incident", role=Role.OWNER, name="", party=None, subject=None, action=None, minutes=None,
        due=None, days_left=None, closes=False, next_dates=(), link_until=None,
        url="https://avtaleflyt.example.org/saker/sakensnummer",
    ),
}  # fmt: skip

SUBJECTS = {
    "assigned": "Svar innen 30. september: evaluering av delavtale om helhetlige pasientforløp",
    "assigned_to_group": (
        "Planlegg og avklar parter innen 16. juni: evaluering av delavtale om helhetlige pasientforløp"
    ),
    "reminder_10": "Ti virkedager igjen: svar innen 30. september",
    "reminder_3": "Tre virkedager igjen: vi mangler svar fra Larvik kommune",
    "reminder_0": "Siste dag i dag: vi mangler svar fra Larvik kommune",
    "reminder_to_approver": "Tre virkedager igjen: svaret fra Larvik kommune venter på godkjenning",
    "overdue": "Fristen er gått ut: du kan fortsatt svare",
    "overdue_to_group": "Fristen er gått ut: planlegg og avklar parter",
    "due_changed": "Ny frist: 2. oktober (før 30. september)",
    "approval": "Til godkjenning innen 30. september: svaret fra Larvik kommune",
    "sent_back": "Sendt tilbake: svaret fra Larvik kommune må rettes innen 30. september",
    "escalation": "To har ikke svart: fristen gikk ut 30. september",
    "incident": "Saken står stille: evaluering av delavtale om helhetlige pasientforløp",
}


class _Words(HTMLParser):
    """The words a reader sees, and the addresses behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        self._hidden += tag in ("head", "title") or ("aria-hidden", "true") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("head", "title") or (tag == "div" and self._hidden > 0)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += data.split()


def words_of(html: str) -> _Words:
    """Read the HTML as a person does."""
    parser = _Words()
    parser.feed(html)
    return parser


def in_language(facts: Facts, locale: str) -> Facts:
    """The same for another reader; the model's own words are in Bokmål."""
    return facts if locale == "nb" else replace(facts, locale=locale, subject=None, action=None)


#: Each of them in each language; Bokmål's snapshots bear no language.
EVERY = {
    name if locale == "nb" else f"{name}.{locale}": in_language(facts, locale)
    for locale in ("nb", "nn", "en")
    for name, facts in MAILS.items()
}
MOVE = News(
    meeting="SSU", reason="Direktøren er syk", new=date(2026, 12, 4), old=date(2026, 11, 27), task="", url=SURVEY.url,
    changes=(
        ChangedDate(case="Evaluering", step="Svar", old=date(2026, 9, 30), new=date(2026, 10, 7)),
        ChangedDate(case="Evaluering", step="Lag mandat", old=None, new=None),
    ),
)  # fmt: skip
_MOVED = replace(
    SURVEY, link_until=None, role=Role.PERFORMER, party=None, due=MOVE.new, former_due=MOVE.old, subject=None
)
EVERY |= {
    name if locale == "nb" else f"{name}.{locale}": in_language(facts, locale)
    for locale in ("nb", "nn", "en")
    for name, facts in {
        "dates_changed": replace(_MOVED, rule="dates_changed", news=MOVE),
        "dates_changed_of_case": replace(
            _MOVED,
            rule="dates_changed",
            due=None,
            former_due=None,
            news=replace(MOVE, meeting="", old=None, new=None, reason="Ekstra møte i AU"),
        ),
        "more_time_given": replace(_MOVED, rule="more_time_answered", news=MOVE),
        "more_time_refused": replace(_MOVED, rule="more_time_answered", news=MOVE, due=None),
        "invitation": replace(_MOVED, rule="invitation", role=Role.CONTACT, former_due=None),
        "invitation_called_off": replace(_MOVED, rule="invitation", role=Role.CONTACT, called_off=True),
        "invitation_moved": replace(_MOVED, rule="invitation", role=Role.CONTACT, name="Dialogmøte 1"),
        "uncovered": replace(
            _MOVED,
            rule="uncovered",
            role=Role.OWNER,
            name="Kommunalsjef Larvik",
            former_due=None,
            action=None,
            url="https://avtaleflyt.example.org/saker/sakensnummer",
        ),
        "stands_in": replace(SURVEY, stands_in_for="Kommunalsjef Larvik", link_until=None),
    }.items()
}
_NOBODY = Names(said=(), more=0)
_EVALUATION = CaseNews(
    title="Evaluering av delavtale om helhetlige pasientforløp", on_hold=False, nobody=False, opens=None,
    who=Names(said=("Larvik", "Horten"), more=3), step="Svar på undersøkelsen", others=1, done=2, total=7,
    due=date(2026, 9, 30), days=12, closes=True,
    slip=Slip(
        closings=(Closing(name="Svar på undersøkelsen", on=date(2026, 9, 30), answered=2, asked=7),),
        stands=Coming(name="Dialogmøter", day=date(2026, 10, 15)),
        next=Coming(name="Analyser", day=date(2026, 10, 22)), meetings=(Coming(name="SSU", day=date(2026, 11, 27)),),
        too_late=None, deadlines=(),
    ),
)  # fmt: skip
_STUCK = replace(
    _EVALUATION, title="Mandat <b>for FSU</b>", nobody=True, who=_NOBODY, step="", others=0, total=0, due=None,
    slip=None,
)  # fmt: skip
_OVERDUE = replace(
    _EVALUATION, title="Møtesak", who=Names(said=("Færder",), more=0), others=0, total=1, due=date(2026, 9, 10), days=2,
    slip=None, closes=False,
)  # fmt: skip
WEEK = Week(
    number=38, running=3, late=1, nobody=1, first_meeting=Coming(name="SSU", day=date(2026, 11, 27)),
    sections=(
        Section(name="Strategisk samarbeidsutvalg", cases=(_STUCK, _EVALUATION), more=1),
        Section(name="", cases=(_OVERDUE,), more=0),
    ),
    deadlines=(
        DeadlineNews(day=date(2026, 9, 24), name="SSU", who=_NOBODY, case=""),
        DeadlineNews(day=date(2026, 9, 30), name="Svar", who=_EVALUATION.who, case="Evaluering"),
    ),
    until=date(2026, 9, 30),
)  # fmt: skip
CALM = replace(
    WEEK, running=1, late=0, nobody=0, first_meeting=None, deadlines=(),
    sections=(Section(name="", cases=(replace(_EVALUATION, others=0, slip=None),), more=0),),
)  # fmt: skip
_OF_WEEK = replace(
    SURVEY, rule="leader_week", role=Role.OWNER, name="", case="", party=None, subject=None, action=None,
    today=date(2026, 9, 14), due=None, next_dates=(), link_until=None, week=WEEK,
    url="https://avtaleflyt.example.org/oversikt",
)  # fmt: skip
EVERY |= {
    name if locale == "nb" else f"{name}.{locale}": in_language(facts, locale)
    for locale in ("nb", "nn", "en")
    for name, facts in {"leader_week": _OF_WEEK, "leader_week_calm": replace(_OF_WEEK, week=CALM)}.items()
}
CHOICES = "https://avtaleflyt.example.org/varsler"
REMINDER = replace(MAILS["reminder_3"], choices_url=CHOICES)
BUNDLES = {
    "tasks": (REMINDER, PLAN),
    "same_date": (REMINDER, replace(REMINDER, party="Færder kommune", url=f"{SURVEY.url}x")),
    "messages": (MAILS["escalation"], MAILS["incident"], LATE),
}
TOGETHER = {
    f"bundle_{name}" if locale == "nb" else f"bundle_{name}.{locale}": [in_language(facts, locale) for facts in said]
    for locale in ("nb", "nn", "en")
    for name, said in BUNDLES.items()
}


@pytest.mark.parametrize("name", [*EVERY, *TOGETHER])
def test_mail_says_what_its_snapshot_says(name: str) -> None:
    message = compose_all(TOGETHER[name]) if name in TOGETHER else compose(EVERY[name])
    contents = {"txt": f"Emne: {message.subject}\n\n{message.text}", "html": message.html}
    files = {SNAPSHOTS / f"{name}.{suffix}": content for suffix, content in contents.items()}
    new = [file for file in files if not file.exists()]
    for file in new:
        file.write_text(files[file])
    assert not new, "read what is new, then run again"
    assert all(file.read_text() == content for file, content in files.items())


@pytest.mark.parametrize("name", SUBJECTS)
def test_subject_is_the_users_own_words(name: str) -> None:
    assert compose(MAILS[name]).subject == SUBJECTS[name]


@pytest.mark.parametrize("name", [*EVERY, *TOGETHER])
def test_text_and_html_say_the_same(name: str) -> None:
    said = TOGETHER.get(name) or [EVERY[name]]
    message = compose_all(said)
    html, text = words_of(message.html), message.text
    for facts in sorted(said, key=lambda facts: -len(facts.url)):
        text = text.replace(f":\n{facts.url}", "")
    community = SURVEY.community.split()
    assert [w for w in html.words if w not in community] == [w for w in text.split() if w not in community]


@pytest.mark.parametrize("name", EVERY)
def test_mail_has_one_button_and_reads_in_a_minute(name: str) -> None:
    message = compose(EVERY[name])
    html = words_of(message.html)
    assert html.links == [EVERY[name].url, "mailto:sekretariatet@example.org"]
    if EVERY[name].week is not None:
        return
    above_the_line = html.words[: html.words.index("Questions?" if name.endswith(".en") else "Spørsmål?")]
    assert len(above_the_line) < 110
    assert max(len(line) for line in message.text.splitlines()) <= 72


def test_dates_never_break_in_html_and_have_ordinary_spaces_in_text() -> None:
    message = compose(SURVEY)
    assert "30.\u00a0september" in message.html
    assert "\u00a0" not in message.text + message.subject


def test_what_people_wrote_is_shown_not_run() -> None:
    facts = replace(SURVEY, party="<script>x</script> & Co", case="Avtale {{ 7*7 }} <b>", name="{due.__class__}")
    message = compose(facts)
    assert "<script>" not in message.html
    assert "&lt;script&gt;x&lt;/script&gt; &amp; Co" in message.html
    assert "&amp;lt;" not in message.html
    assert "<script>x</script> & Co" in message.text
    assert "{{ 7*7 }}" in message.text


@pytest.mark.parametrize("name", TOGETHER)
def test_what_is_gathered_has_a_button_for_each(name: str) -> None:
    said = TOGETHER[name]
    links = words_of(compose_all(said).html).links
    chosen = [CHOICES] if any(facts.choices_url for facts in said) else []
    assert links == [*(facts.url for facts in said), "mailto:sekretariatet@example.org", *chosen]


def test_every_mail_is_there_in_every_language() -> None:
    folder = Path(composing.__file__).parent / "templates"
    found = [{str(f.relative_to(folder / lang)) for f in (folder / lang).rglob("*.*")} for lang in ("nb", "nn", "en")]
    assert found[0] == found[1] == found[2]
    assert {template_of(facts) for facts in EVERY.values()} == {f.name for f in (folder / "nb").iterdir() if f.is_dir()}


@pytest.mark.parametrize("locale", ["no", "", "de"])
def test_a_language_we_do_not_have_is_bokmal(locale: str) -> None:
    assert compose(replace(SURVEY, locale=locale)) == compose(SURVEY)


def test_a_model_says_it_in_the_readers_language() -> None:
    english = replace(SURVEY, locale="en", subject="Answer by {due}: {case}", action="Tell us")
    message = compose(english)
    assert message.subject == "Answer by 30 September: evaluering av delavtale om helhetlige pasientforløp"
    assert message.text.startswith("Answer for Larvik kommune by Wednesday 30 September")
    assert "\nTell us:\n" in message.text
    # Where the model says nothing in that language, its names stand as they are and the rest is the reader's.
    message = compose(replace(english, subject=None, action=None))
    assert message.subject.startswith("Svar på undersøkelsen by 30 September:")
    assert "\nAnswer now:\n" in message.text


def test_who_must_sign_in_is_told_so() -> None:
    signing_in = compose(replace(SURVEY, link_until=None)).text
    assert "Du logger inn for å svare." in signing_in
    assert "Lenken er personlig" not in signing_in


OWN = "Kjære {party}: {name} innen {due}, {days}. {why}"


def own(**parts: str) -> Facts:
    """A reminder with the secretariat's own words."""
    return replace(REMINDER, texts={("reminder", "nb"): parts})


def test_own_words_stand_for_the_standard_ones() -> None:
    message = compose(own(subject="Husk {case}", lead=OWN))
    assert message.subject == "Husk evaluering av delavtale om helhetlige pasientforløp"
    said = " ".join(message.text.split())
    assert "Kjære Larvik kommune: Svar på undersøkelsen innen 30. september, tre virkedager. Du får dette fordi" in said
    assert "Vi har ikke fått svar" not in message.text
    assert "Rekker du det ikke?" in message.text


def test_own_words_of_another_mail_or_language_change_nothing() -> None:
    words = {("overdue", "nb"): {"lead": "Nei"}, ("reminder", "en"): {"lead": "No"}}
    assert compose(replace(REMINDER, texts=words)) == compose(REMINDER)


def test_words_that_lack_a_value_give_way_to_the_standard_ones() -> None:
    nobody = replace(own(lead=OWN), party=None)
    assert compose(nobody) == compose(replace(nobody, texts={}))


@pytest.mark.parametrize(
    "nasty", ["{{ 7*7 }}", "{% for x in y %}", "<script>x</script>", "${x}", "%s", "\r\nBcc: a@b.no"]
)
def test_own_words_are_shown_not_run(nasty: str) -> None:
    message = compose(own(subject=nasty, heading=nasty, lead=nasty, below=nasty))
    assert "49" not in message.html
    assert "<script" not in message.html
    assert "\n" not in message.subject
    # What looks like an unknown placeholder, which cannot be kept, gives way to the standard words.
    assert (" ".join(nasty.split()) in message.text) != (message == compose(REMINDER))


def test_task_without_a_due_date_says_none() -> None:
    message = compose(replace(SURVEY, due=None, days_left=None, next_dates=()))
    assert message.subject == "Svar: evaluering av delavtale om helhetlige pasientforløp"
    assert "innen" not in message.text


def test_late_reminder_speaks_as_one() -> None:
    assert compose(replace(LATE, rule="remind_now")).subject == SUBJECTS["overdue"]


def test_date_of_another_year_bears_its_year() -> None:
    facts = replace(SURVEY, today=date(2025, 12, 1))
    assert compose(facts).subject.startswith("Svar innen 30. september 2026:")


# --- the message on the wire ---


def on_the_wire(message: Message | None = None, **values: str) -> EmailMessage:
    """A mail of 1 September."""
    given = {
        "community": "Helsefellesskapet i Vestfold", "sender": "sekretariatet@example.org",
        "recipient": "Kommunalsjef Færder", "address": "kommunalsjef.ferder@example.org",
        "message_id": "<abc@avtaleflyt.example.org>",
    }  # fmt: skip
    now = datetime(2026, 9, 1, 6, tzinfo=UTC)
    return email_message(message or compose(SURVEY), **(given | values), date=now)


def test_headers() -> None:
    email = on_the_wire()
    assert {name: str(value) for name, value in email.items() if name != "Content-Type"} == {
        "From": "Sekretariatet i Helsefellesskapet i Vestfold <sekretariatet@example.org>",
        "To": "Kommunalsjef Færder <kommunalsjef.ferder@example.org>",
        "Reply-To": "Sekretariatet i Helsefellesskapet i Vestfold <sekretariatet@example.org>",
        "Subject": SUBJECTS["assigned"],
        "Date": "Tue, 01 Sep 2026 06:00:00 +0000",
        "Message-ID": "<abc@avtaleflyt.example.org>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "nb",
        "MIME-Version": "1.0",
    }
    assert email.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in email.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content_charset() for part in email.iter_parts()] == ["utf-8", "utf-8"]


def test_wire_is_plain_ascii() -> None:
    on_the_wire().as_bytes().decode("ascii")


@pytest.mark.parametrize("name", ["Kommunalsjef Færder", "Rådgiver for helse og omsorg i " + "Sør-Østre Åsane " * 5])
@pytest.mark.parametrize(
    "case", ["Evaluering av delavtale om helhetlige pasientforløp", "Åpen " + "sak om øyehelse " * 12]
)
def test_reader_gets_names_and_subject_as_they_were_written(name: str, case: str) -> None:
    message = compose(replace(SURVEY, case=case))
    raw = wire_format(on_the_wire(message, recipient=name))
    read = message_from_bytes(raw)
    assert str(make_header(decode_header(read["Subject"]))) == message.subject
    assert str(make_header(decode_header(read["To"]))) == f"{name.strip()} <kommunalsjef.ferder@example.org>"
    assert max(len(line) for line in raw.splitlines()) <= 78


NASTY = "Larvik\r\nBcc: alle@example.org\x00\u2028X-Annet: 1"


def test_no_name_or_title_can_add_a_header() -> None:
    message = compose(replace(SURVEY, case=NASTY, party=NASTY))
    email = on_the_wire(message, community=NASTY, recipient=NASTY)
    again = email.as_bytes().decode("ascii")
    header = again.partition("\r\n\r\n")[0]
    assert not any(line.lower().startswith(("bcc:", "x-annet:")) for line in header.splitlines())
    assert set(email.keys()) == set(on_the_wire().keys())


@pytest.mark.parametrize("address", [NASTY, "a@b\nBcc: c@d", "", "a", "a@", "@b", "a@b, c@d", "a b@c", "æ@example.org"])
def test_impossible_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidAddress):
        on_the_wire(address=address)


def test_domain_with_norwegian_letters_is_written_as_name_servers_know_it() -> None:
    wire_format(on_the_wire(address="post@færder.example.org")).decode("ascii")
    assert on_the_wire(address="post@færder.example.org")["To"].addresses[0].domain == "xn--frder-sra.example.org"
