"""A trial as JSON and as lines for a terminal: what the command and the API answer."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from engine.instance_migration import OpenTask
from engine.model import ProcessInstance
from web.migration_views import Change, Obstacle, Timer, Tried
from web.pages.delivery_views import Mail


def document(instance: ProcessInstance, tried: Tried, *, moved: bool) -> dict[str, Any]:
    """What moving the case does, or why it can't be moved; `moved`: was it done?"""
    return {
        "id": instance.public_id, "title": instance.title, "from": tried.version, "to": tried.to,
        "can_move": tried.can_move, "moved": moved,
        "refused": tried.refused.message if tried.refused is not None else None,
        "problems": [_problem(obstacle) for obstacle in tried.obstacles],
        "tasks": [_task(change) for change in tried.tasks],
        "timers": [_timer(change) for change in tried.timers],
        "events": [
            {"change": e.kind, "call_path": e.place.call_path, "element": e.place.element_id, "name": e.place.name}
            for e in tried.events
        ],
        "wake_at": {"before": _iso(tried.wake.before), "after": _iso(tried.wake.after)},
        "mails": [_mail(change) for change in tried.mails],
        "passed": list(tried.passed), "roles_of_nobody": list(tried.unbound),
        "incidents": [
            {"call_path": place.call_path, "element": place.element_id, "name": place.name, "cause": cause}
            for place, cause in tried.stops
        ],
        "ends": tried.ends,
    }  # fmt: skip


def _problem(obstacle: Obstacle) -> dict[str, Any]:
    problem = obstacle.problem
    return {
        "code": problem.code, "call_path": problem.call_path, "element": problem.element_id, "name": obstacle.name,
        "detail": problem.detail, "replacements": [{"element": e.id, "name": e.name} for e in obstacle.replacements],
    }  # fmt: skip


def _task(change: Change[OpenTask]) -> dict[str, Any]:
    # What a new task would be called by is not known before the case is moved.
    identity = change.before.public_id if change.before is not None else None
    return {"change": change.kind, "id": identity, "before": _task_row(change.before), "after": _task_row(change.after)}


def _task_row(task: OpenTask | None) -> dict[str, Any] | None:
    if task is None:
        return None
    return {
        "element": task.element_id, "name": task.name, "item_name": task.item_name, "state": task.state,
        "due_date": task.due_date.isoformat() if task.due_date else None, "form": task.form_key,
    }  # fmt: skip


def _timer(change: Change[Timer]) -> dict[str, Any]:
    timer = change.after or change.before
    assert timer is not None, "a change has one side at least"
    before, after = (_iso(side.at) if side else None for side in (change.before, change.after))
    return {
        "change": change.kind, "call_path": timer.call_path, "element": timer.element_id, "name": timer.name,
        "before": before, "after": after,
    }  # fmt: skip


def _mail(change: Change[Mail]) -> dict[str, Any]:
    mail = change.after or change.before
    assert mail is not None, "a change has one side at least"
    before, after = (_iso(side.planned_at) if side else None for side in (change.before, change.after))
    return {
        "change": change.kind, "rule": mail.rule, "step": mail.step, "item_name": mail.party, "to": mail.email,
        "before": before, "after": after,
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


# --- for a terminal ---------------------------------------------------------------------------------------------------


def text(row: dict[str, Any]) -> str:
    """The document as lines."""
    return "\n".join(_lines(row))


def _lines(row: dict[str, Any]) -> Iterator[str]:
    verdict = "moved" if row["moved"] else "can be moved" if row["can_move"] else "can't be moved"
    yield f"{row['id']}  version {row['from']} -> {row['to']}  {verdict}: {row['title']}"
    if row["refused"]:
        yield f"    {row['refused']}"
    for problem in row["problems"]:
        instead = ", ".join(f"--map {problem['element']}={e['element']}" for e in problem["replacements"])
        yield f"    {problem['code']}: {problem['name']} ({problem['element']}){f'; try {instead}' if instead else ''}"
    for task in row["tasks"]:
        yield f"    task {task['change']}: {_named(task['after'] or task['before'])}{_moves(task, 'due_date')}"
    for timer in row["timers"]:
        yield f"    timer {timer['change']}: {timer['name']}{_moved(timer['before'], timer['after'])}"
    for event in row["events"]:
        yield f"    event {event['change']}: {event['name']}"
    for mail in row["mails"]:
        if mail["change"] != "stays":
            yield f"    mail {mail['change']}: {mail['rule']} to {mail['to']}{_moved(mail['before'], mail['after'])}"
    yield from (f"    already past: {name}" for name in row["passed"])
    yield from (f"    nobody has the role: {name}" for name in row["roles_of_nobody"])
    yield from (f"    stops at {i['name']}: {i['cause']}" for i in row["incidents"])
    if row["ends"]:
        yield "    the case ends"


def _named(task: dict[str, Any]) -> str:
    return f"{task['name']} ({task['item_name']})" if task["item_name"] else str(task["name"])


def _moves(change: dict[str, Any], field: str) -> str:
    before, after = ((change[side] or {}).get(field) for side in ("before", "after"))
    return _moved(before, after) if before != after else ""


def _moved(before: str | None, after: str | None) -> str:
    if before == after:
        return f", {after}" if after else ""
    return f", {before or 'none'} -> {after or 'none'}"
