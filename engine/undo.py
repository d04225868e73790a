"""What taking back an answer, or reopening a case, restores: kept in the same UPDATE as the act that moved the case."""

from dataclasses import dataclass
from typing import Any

from engine.model import ProcessInstance, Step, UserTask


@dataclass(frozen=True, kw_only=True)
class Before:
    """A case as it was before an answer."""

    document: bytes | None
    facts: dict[str, Any]
    data: dict[str, Any]
    history_length: int


def before(instance: ProcessInstance) -> Before:
    """The case as it is now; reads nothing."""
    return Before(
        document=instance.state_document, facts=instance.facts, data=instance.data,
        history_length=instance.history_length,
    )  # fmt: skip


def keep(instance: ProcessInstance, was: Before, step: Step, task: UserTask, *, went_out: bool) -> None:
    """Remember how the case was before this answer moved it. Facts and data are kept only where they changed.

    `went_out`: did the answer let something leave the case, such as a message?
    """
    instance.undo_document = was.document
    instance.undo = {
        "task": task.id,
        "step": step.id,
        "since": was.history_length,
        "length": instance.history_length,
        "revision": instance.revision,
        **({"went_out": True} if went_out else {}),
        **({"facts": was.facts} if was.facts != instance.facts else {}),
        **({"data": was.data} if was.data != instance.data else {}),
    }


def keep_end(instance: ProcessInstance) -> None:
    """Remember where the case stood before what ends it now; called while it still has its document."""
    instance.undo_document, instance.undo = instance.state_document, None
