"""`avtaleflyt doctor`, `operations`, `job …` and `mail …`: for whoever looks after an installation."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from engine import operations
from engine.clock import utc_now
from engine.errors import InvalidInput
from notifications import alarm, bounces
from notifications.alarm import Hindrance, Late
from notifications.mailbox import Mailbox, MailboxError
from web import doctor, operations_report, resending
from web.cli_parts import community_of, json_option, services, show
from web.doctor import Finding
from web.settings import Settings

_MARKS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


@click.command("doctor")
@json_option
@click.pass_context
def examine(ctx: click.Context, as_json: bool) -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 when something is."""
    found = doctor.examine(ctx.obj, utc_now)
    well = doctor.is_well(found)
    show({"ok": well, "findings": [asdict(f) for f in found]}, as_json, lambda: _text(found))
    ctx.exit(0 if well else 1)


def _text(found: list[Finding]) -> str:
    lines = [f"{_MARKS[f.state]}  {f.says}" + (f"\n         → {f.remedy}" if f.remedy else "") for f in found]
    errors, warnings = (sum(f.state == state for f in found) for state in ("error", "warning"))
    return "\n".join([*lines, f"{errors} to mend, {warnings} to look at." if errors or warnings else "All is well."])


@click.command("operations")
@json_option
@click.pass_context
def report(ctx: click.Context, as_json: bool) -> None:
    """How the system stands: what waits, what failed, and which processes run; as the page /drift shows it."""
    served = services(ctx)
    with served.database.reading() as session:
        community = community_of(session, ctx.obj)
        found = operations_report.document(session, community, ctx.obj, now=served.clock())
    show(found, as_json, lambda: "\n".join(operations_report.text(found)))


@click.group()
def job() -> None:
    """Work outside the cases that failed."""


@job.command("retry")
@click.argument("number", type=int)
@json_option
@click.pass_context
def job_retry(ctx: click.Context, number: int, as_json: bool) -> None:
    """Have a job that failed tried again now. The worker does it."""
    served = services(ctx)
    with served.database.transaction() as session:
        found = operations.find_job(session, community_of(session, ctx.obj).id, number)
        operations.retry_job(session, found, now=served.clock(), actor_id=None)
    show({"job": number, "state": "queued"}, as_json, lambda: f"Job {number} is tried again.")


@job.command("drop")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; kept in the history of the case that sent it.")
@json_option
@click.pass_context
def job_drop(ctx: click.Context, number: int, reason: str, as_json: bool) -> None:
    """Throw a message away that nobody has received."""
    served = services(ctx)
    with served.database.transaction() as session:
        found = operations.find_job(session, community_of(session, ctx.obj).id, number)
        operations.drop_message(session, found, now=served.clock(), actor_id=None, reason=reason)
    show({"job": number, "state": "dropped"}, as_json, lambda: f"Message {number} is thrown away.")


@click.group()
def mail() -> None:
    """Mails that have not left, or did not arrive."""


@mail.command("check")
@json_option
@click.pass_context
def mail_check(ctx: click.Context, as_json: bool) -> None:
    """Say whether mails are late and why; exit 1 when one has not left so many minutes after its time."""
    served = services(ctx)
    now, settings = served.clock(), served.settings
    with served.database.reading() as session:
        late = alarm.look(session, now=now, after=settings.mail_late_after, per_minute=settings.mail_per_minute)
    document = {"late": 0} if late is None else {
        "late": late.count, "since": late.since.isoformat(), "hindrance": late.hindrance.value,
    }  # fmt: skip
    show(document, as_json, lambda: _late_text(late))
    ctx.exit(1 if late else 0)


_HINDRANCES = {
    Hindrance.CLOCK: "no process sends. Start `avtaleflyt serve` or `avtaleflyt worker`",
    Hindrance.RATE: "as many leave in a minute as AVTALEFLYT_MAIL_PER_MINUTE lets; the rest follow",
    Hindrance.REFUSED: "the mail server did not take them. See `avtaleflyt deliveries --json` for what it said",
    Hindrance.SERVER: "nobody has tried them. See whether the mail server answers: `avtaleflyt doctor`",
}


def _late_text(late: Late | None) -> str:
    if late is None:
        return "No mail is late."
    return f"Mails late: {late.count}, the first since {late.since.isoformat()}: {_HINDRANCES[late.hindrance]}."


@mail.command("resend")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", required=True, help="Why; kept in the history of the cases.")
@json_option
@click.pass_context
def mail_resend(ctx: click.Context, ids: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Send failed or uncertain mails again, all or none, as the same messages to the present addresses."""
    served = services(ctx)
    with served.database.transaction() as session:
        community_id = community_of(session, ctx.obj).id
        mails = [resending.find(session, community_id, public_id) for public_id in ids]
        for found in sorted(mails, key=lambda mail: mail.instance_id or 0):  # cases are held in one order by everybody
            resending.send_again(session, found, now=served.clock(), actor_id=None, reason=reason)
    show({"resent": list(ids)}, as_json, lambda: f"Mails sent again: {len(ids)}.")


@mail.command("bounces")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[FILE...]")
@json_option
@click.pass_context
def mail_bounces(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Read what came back from the mailbox of AVTALEFLYT_BOUNCE_IMAP_HOST, or from files; exit 1 when it can't."""
    served = services(ctx)
    counts: Counter[str] = Counter()

    def handle(raw: bytes) -> None:
        found = bounces.read(raw)
        if found is None:
            counts["unread"] += 1
            return
        with served.database.transaction() as session:
            counts[bounces.record(session, found, now=served.clock())] += 1

    if files:
        for file in files:
            handle(file.read_bytes())
    else:
        mailbox = _mailbox(served.settings)
        try:
            mailbox.read_reports(handle)
            counts["letters"] = mailbox.count_letters()
        except MailboxError as error:
            raise InvalidInput(str(error)) from error
    document = {name: counts[name] for name in (*bounces.Outcome, "unread", "letters")}
    show(document, as_json, lambda: _bounces_text(document))


def _bounces_text(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    if not counts["letters"]:
        return told
    return f"{told}\nPeople have written to that mailbox, and nobody has read it. See that somebody does."


def _mailbox(settings: Settings) -> Mailbox:
    if not settings.bounce_imap_host:
        raise InvalidInput("There is no mailbox to read. Set AVTALEFLYT_BOUNCE_IMAP_HOST, or name files.")
    return Mailbox(
        host=settings.bounce_imap_host, port=settings.bounce_imap_port, tls=settings.bounce_imap_tls,
        user=settings.bounce_imap_user, password=settings.bounce_imap_password.get_secret_value(),
        folder=settings.bounce_imap_folder,
    )  # fmt: skip
