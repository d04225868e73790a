"""Drafts: begun, saved against a revision, and deployed; and versions that nothing changes."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine import deployments, drafts
from engine.bpmn.blank import blank, copied
from engine.bpmn.reading import MAX_BYTES, read
from engine.deployments import Immutable, Source
from engine.errors import InvalidInput, ModelRefused, NotAllowed, NotFound, Stale
from engine.identity import Person
from engine.model import Deployment, ModelDraft, ProcessDefinition
from tests.engine.drawing import call, model, task
from tests.engine.lab import FORM, WITH_FORM, Lab

DECISION = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="t">
<decision id="{id}" name="{id}"><literalExpression id="e"><text>{value}</text></literalExpression></decision>
</definitions>"""
ASK = model("start>ask ask>end", task("ask", WITH_FORM))


@pytest.fixture
def admin(lab: Lab) -> Person:
    with lab.database.transaction() as session:
        lab.user(session, "person0").is_admin = True
        session.flush()
        return lab.person(session, "person0")


def opened(lab: Lab, admin: Person) -> ModelDraft:
    (definition,) = lab.deploy(ASK)
    with lab.database.transaction() as session:
        return drafts.open_version(session, definition, person=admin, now=lab.clock())


def held(lab: Lab, admin: Person, draft: ModelDraft) -> ModelDraft:
    with lab.database.reading() as session:
        return drafts.find(session, admin, draft.public_id)


# --- beginning --------------------------------------------------------------------------------------------------------


def test_a_draft_of_a_version_has_its_drawing_and_forms(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    assert (draft.xml, draft.forms, draft.revision) == (ASK.decode(), {"svar": FORM}, 1)
    with lab.database.reading() as session:
        assert [d.public_id for d in drafts.all_of(session, admin)] == [draft.public_id]
        follows = drafts.follows(session, draft)
    assert follows is not None
    assert follows.id == draft.based_on_id


def test_a_draft_from_nothing_passes_the_gate(lab: Lab, admin: Person) -> None:
    with lab.database.transaction() as session:
        draft = drafts.begin(session, "ny_prosess", 'Ny "prosess" <b>', person=admin, now=lab.clock())
        assert [f.message for f in drafts.findings(session, draft) if f.severity == "error"] == []
        assert drafts.follows(session, draft) is None
    assert draft.name == 'Ny "prosess" <b>'
    assert read(draft.xml).name == 'Ny "prosess" <b>'


def test_a_copy_is_another_process_with_the_same_steps(lab: Lab, admin: Person) -> None:
    (definition,) = lab.deploy(ASK)
    with lab.database.transaction() as session:
        draft = drafts.copy_version(session, definition, "kopien", "Kopien", person=admin, now=lab.clock())
    copy = read(draft.xml)
    assert (copy.process_id, copy.name, list(copy.user_tasks)) == ("kopien", "Kopien", ["ask"])
    assert draft.forms == {"svar": FORM}


@pytest.mark.parametrize("identity", ["", "Stor", "med-strek", "1start", "ab", "a" * 61, 'x" onload="', "ask"])
def test_an_unfit_process_id_is_refused(identity: str) -> None:
    with pytest.raises(InvalidInput):
        copied(ASK.decode(), identity, "Kopien") if identity == "ask" else blank(identity, "Ny")


def test_a_process_that_exists_is_not_begun_again(lab: Lab, admin: Person) -> None:
    lab.deploy(ASK)
    with lab.database.transaction() as session, pytest.raises(InvalidInput, match="already deployed"):
        drafts.begin(session, "prove", "Prøve", person=admin, now=lab.clock())


def test_only_administrators_have_drafts(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    with lab.database.transaction() as session:
        other = lab.person(session, "person1")
        acts: list[Callable[[], object]] = [
            lambda: drafts.all_of(session, other),
            lambda: drafts.find(session, other, draft.public_id),
            lambda: drafts.begin(session, "ny_prosess", "Ny", person=other, now=lab.clock()),
            lambda: drafts.save(session, draft.public_id, ASK, revision=1, person=other, now=lab.clock()),
            lambda: drafts.discard(session, draft.public_id, revision=1, person=other),
            lambda: drafts.deploy(session, draft.public_id, revision=1, note="x", person=other, now=lab.clock()),
        ]
        for act in acts:
            with pytest.raises(NotAllowed):
                act()


# --- saving -----------------------------------------------------------------------------------------------------------


def test_a_save_keeps_the_drawing_and_raises_the_revision(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    drawn = ASK.replace(b'name="prove"', b'name="Nytt navn"')
    with lab.database.transaction() as session:
        drafts.save(session, draft.public_id, drawn, revision=1, person=admin, now=lab.clock())
    saved = held(lab, admin, draft)
    assert (saved.xml, saved.name, saved.revision) == (drawn.decode(), "Nytt navn", 2)


def test_half_a_drawing_can_be_kept(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    with lab.database.transaction() as session:
        drafts.save(session, draft.public_id, b"<halv", revision=1, person=admin, now=lab.clock())
        kept = drafts.find(session, admin, draft.public_id)
        assert [f.rule for f in drafts.findings(session, kept)] == ["xml"]
    assert kept.name == draft.name


def test_a_save_over_somebody_elses_is_stale_and_changes_nothing(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    with lab.database.transaction() as session:
        drafts.save(session, draft.public_id, ASK, revision=1, person=admin, now=lab.clock())
    with pytest.raises(Stale), lab.database.transaction() as session:
        drafts.save(session, draft.public_id, b"<other/>", revision=1, person=admin, now=lab.clock())
    assert held(lab, admin, draft).xml == ASK.decode()


@pytest.mark.parametrize("xml", [b"<a>" + b" " * MAX_BYTES, b"\xff\xfe", b"<a>\x00</a>"])
def test_what_can_never_be_a_model_is_not_kept(lab: Lab, admin: Person, xml: bytes) -> None:
    draft = opened(lab, admin)
    with pytest.raises(InvalidInput), lab.database.transaction() as session:
        drafts.save(session, draft.public_id, xml, revision=1, person=admin, now=lab.clock())
    assert held(lab, admin, draft).revision == 1


def test_a_form_is_checked_before_it_is_kept(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)

    def save(key: str, text: str, revision: int) -> None:
        with lab.database.transaction() as session:
            drafts.save_form(session, draft.public_id, key, text, revision=revision, person=admin, now=lab.clock())

    for key, text in [("nytt", "{"), ("nytt", "[]"), ("nytt", '{"id": "nytt", "components": [{"type": "x"}]}')]:
        with pytest.raises(InvalidInput):
            save(key, text, 1)
    with pytest.raises(InvalidInput, match="no form key"):
        save("../x", '{"id": "nytt", "components": []}', 1)
    save("nytt", '{"id": "nytt", "type": "default", "components": []}', 1)
    assert sorted(held(lab, admin, draft).forms) == ["nytt", "svar"]
    with lab.database.transaction() as session:
        drafts.remove_form(session, draft.public_id, "nytt", revision=2, person=admin, now=lab.clock())
    assert list(held(lab, admin, draft).forms) == ["svar"]


def test_a_discarded_draft_is_gone(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    with pytest.raises(Stale), lab.database.transaction() as session:
        drafts.discard(session, draft.public_id, revision=7, person=admin)
    with lab.database.transaction() as session:
        drafts.discard(session, draft.public_id, revision=1, person=admin)
    with lab.database.reading() as session, pytest.raises(NotFound):
        drafts.find(session, admin, draft.public_id)


# --- deploying --------------------------------------------------------------------------------------------------------


def test_a_deployed_draft_is_the_next_version_and_gone_as_a_draft(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    drawn = model("start>ask ask>again again>end", task("ask", WITH_FORM), task("again"))
    with lab.database.transaction() as session:
        drafts.save(session, draft.public_id, drawn, revision=1, person=admin, now=lab.clock())
        made = drafts.deploy(session, draft.public_id, revision=2, note="Én til", person=admin, now=lab.clock())
        assert (made.version, made.deployment.note, made.deployment.deployed_by_id) == (2, "Én til", admin.id)
    with lab.database.reading() as session:
        assert drafts.all_of(session, admin) == []
    assert lab.waiting(lab.begin("prove")) == ["ask"]


def test_a_draft_that_the_gate_refuses_stays_a_draft(lab: Lab, admin: Person) -> None:
    draft = opened(lab, admin)
    wrong = model("start>c c>end", call("c", "finnes_ikke"))
    with lab.database.transaction() as session:
        drafts.save(session, draft.public_id, wrong, revision=1, person=admin, now=lab.clock())
    with pytest.raises(ModelRefused), lab.database.transaction() as session:
        drafts.deploy(session, draft.public_id, revision=2, note="x", person=admin, now=lab.clock())
    assert held(lab, admin, draft).xml == wrong.decode()


# --- versions never change --------------------------------------------------------------------------------------------


def _rename(session: Session, definition: ProcessDefinition) -> None:
    session.get_one(ProcessDefinition, definition.id).name = "Et annet navn"
    session.flush()


def _rewrite_note(session: Session, definition: ProcessDefinition) -> None:
    session.get_one(Deployment, definition.deployment_id).note = "En annen grunn"
    session.flush()


def _remove(session: Session, definition: ProcessDefinition) -> None:
    session.delete(session.get_one(ProcessDefinition, definition.id))
    session.flush()


@pytest.mark.parametrize(
    "change",
    [
        _rename,
        _rewrite_note,
        _remove,
        lambda session, _definition: session.execute(update(ProcessDefinition).values(xml="<a/>")),
        lambda session, _definition: session.execute(delete(ProcessDefinition)),
        lambda session, _definition: session.execute(update(Deployment).values(note="x")),
    ],
)
def test_no_code_changes_a_deployed_version(lab: Lab, change: Callable[[Session, ProcessDefinition], object]) -> None:
    (definition,) = lab.deploy(ASK)
    with pytest.raises(Immutable), lab.database.transaction() as session:
        change(session, definition)
    with lab.database.reading() as session:
        kept = session.scalars(select(ProcessDefinition)).one()
        assert (kept.name, kept.xml, kept.deployment.note) == ("prove", ASK.decode(), "")


def test_a_changed_decision_is_a_new_version_of_the_models_that_use_it(lab: Lab) -> None:
    def deploy(*documents: str) -> ProcessDefinition:
        decisions = {f"fil{n}": text for n, text in enumerate(documents)}
        drawn = ASK.replace(b'name="ask"', b'name="Ask hvem_svarer"')
        with lab.database.transaction() as session:
            source = Source(xml=drawn, forms={"svar": FORM}, decisions=decisions)
            (made,) = deployments.deploy(session, lab.community_id, [source], now=lab.clock(), actor_id=None)
            return made

    used, other = DECISION.format(id="hvem_svarer", value=1), DECISION.format(id="noe_annet", value=1)
    first = deploy(used, other)
    assert first.decisions == {"fil0": used}
    assert deploy(used, other, other).id == first.id
    assert deploy(DECISION.format(id="hvem_svarer", value=2)).version == 2
