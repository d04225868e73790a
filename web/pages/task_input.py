"""Reads a task's form as the browser sent it: new files are stored first, and stand in the answers by their ids."""

from collections.abc import Mapping

from flask import request
from werkzeug.datastructures import FileStorage, MultiDict

from engine import user_tasks
from engine.errors import EngineError, FieldProblem, InvalidInput, NotAllowed, NotOpen
from engine.form_definitions import fields_of, rows_of
from engine.forms import Form
from web import forms
from web.context import acting, now, services
from web.pages import task_documents
from web.pages.task_documents import Upload
from web.pages.task_views import Loaded, Written


def read(loaded: Loaded) -> Written:
    """The answers, and what was wrong with files that could not be kept."""
    sent: MultiDict[str, str] = MultiDict(request.form)
    files = dict(loaded.files)
    problems: list[FieldProblem] = []
    pickers = _file_fields(loaded.form)
    for name in [name for name in sent if _key(name) in pickers]:
        sent.setlist(name, [value for value in sent.getlist(name) if value in files])
    for name, file in forms.uploads(loaded.form, request.files):
        try:
            stored, title = _store(loaded, file)
        except (NotOpen, NotAllowed):
            continue  # sending the answers is then refused too, and says why
        except InvalidInput as refused:
            problems.append(FieldProblem(key=name, label=name, message=refused.message))
            continue
        files[stored] = title
        sent.setlist(name, [*(sent.getlist(name) if pickers[_key(name)] else []), stored])
    inputs = {**loaded.inputs, "files": files}
    return Written(answers=forms.parse(loaded.form, sent, inputs), problems=problems)


def keep(loaded: Loaded, written: Mapping[str, object]) -> bool:
    """Save what is written as the task's draft; answers whether that was still possible."""
    try:
        with acting() as (session, actor):
            user_tasks.save_draft(session, loaded.task.id, written, actor=actor, now=now())
    except EngineError:
        return False
    return True


def accepted(file: FileStorage) -> Upload:
    """The file, fit to be kept. Raises InvalidInput."""
    limit = services().settings.max_upload_mb
    return task_documents.accept(file.filename or "", file.mimetype or "", file.read(), max_mb=limit)


def _store(loaded: Loaded, file: FileStorage) -> tuple[str, str]:
    upload = accepted(file)
    with acting() as (session, actor):
        return task_documents.add(session, loaded.task.id, [upload], actor=actor, now=now())[0], upload.name


def _key(name: str) -> str:
    """A field's key, without its row: `forslag-0-fil` is `fil`."""
    return name.rsplit("-", maxsplit=1)[-1]


def _file_fields(form: Form) -> dict[str, bool]:
    """The keys of the fields that take files, and whether they take several."""
    everywhere = [form.components, *(rows.components for rows in rows_of(form.components))]
    return {f.key: f.multiple for parts in everywhere for f in fields_of(parts) if f.type == "filepicker"}
