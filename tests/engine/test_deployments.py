"""Deploying: versions that never change, and a gate that lets nothing half through."""

import pytest
from sqlalchemy import func, select

from engine import deployments
from engine.deployments import Source
from engine.errors import InvalidInput, ModelRefused, NotFound
from engine.model import Community, Deployment, ProcessDefinition
from tests.engine.counting import counting
from tests.engine.drawing import call, model, task
from tests.engine.lab import FORM, WITH_FORM, Lab
from tests.world import EVALUATION, World

ASK = model("start>ask ask>end", task("ask", WITH_FORM))
ASK_TWICE = model("start>ask ask>again again>end", task("ask", WITH_FORM), task("again"))


def versions(lab: Lab) -> list[tuple[str, int]]:
    with lab.database.reading() as session:
        rows = select(ProcessDefinition.key, ProcessDefinition.version).order_by(ProcessDefinition.id)
        return [(row.key, row.version) for row in session.execute(rows)]


def test_a_changed_model_is_a_new_version_and_an_unchanged_one_is_not(lab: Lab) -> None:
    (first,) = lab.deploy(ASK)
    (same,) = lab.deploy(ASK)
    (changed,) = lab.deploy(ASK_TWICE)
    (back,) = lab.deploy(ASK)
    assert same.id == first.id
    assert [first.version, changed.version, back.version] == [1, 2, 3]
    assert versions(lab) == [("prove", 1), ("prove", 2), ("prove", 3)]


def test_a_changed_form_is_a_new_version_of_the_models_that_use_it(lab: Lab) -> None:
    lab.deploy(ASK)
    other = {**FORM, "components": FORM["components"][:1]}
    with lab.database.transaction() as session:
        drawn = [Source(xml=ASK, forms={"svar": other, "ubrukt": FORM})]
        (changed,) = deployments.deploy(session, lab.community_id, drawn, now=lab.clock(), actor_id=None)
    assert changed.version == 2
    assert list(changed.forms) == ["svar"]


def test_one_model_that_is_refused_keeps_the_others_out(lab: Lab) -> None:
    with pytest.raises(ModelRefused) as refused:
        lab.deploy(ASK, model("start>it it>end", '<bpmn:complexGateway id="it"/>', process="second"))
    (finding,) = [f for f in refused.value.findings if f.rule == "element"]
    assert (finding.element, finding.severity) == ("it", "error")
    assert str(refused.value).startswith("line ")
    assert versions(lab) == []
    with lab.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Deployment)) == 0


def test_models_that_are_deployed_together_may_call_each_other(lab: Lab) -> None:
    lab.deploy(
        model("start>c c>end", call("c", "inner"), process="outer"),
        model("start>ask ask>end", task("ask"), process="inner"),
    )
    case = lab.begin("outer")
    assert [t.step.call_path for t in lab.tasks(case)] == ["c"]


def test_a_model_may_call_what_was_deployed_before(lab: Lab) -> None:
    lab.deploy(model("start>ask ask>end", task("ask"), process="inner"))
    lab.deploy(model("start>c c>end", call("c", "inner"), process="outer"))
    assert lab.waiting(lab.begin("outer")) == ["ask"]


def test_models_that_call_each_other_in_a_circle_are_refused(lab: Lab) -> None:
    with pytest.raises((ModelRefused, InvalidInput)):
        lab.deploy(
            model("start>c c>end", call("c", "second"), process="first"),
            model("start>c c>end", call("c", "first"), process="second"),
        )
    assert versions(lab) == []


def test_a_community_has_its_own_versions(lab: Lab) -> None:
    lab.deploy(ASK)
    with lab.database.transaction() as session:
        other = Community(key="annen", name="En annen", email="annen@example.org")
        session.add(other)
        session.flush()
        with pytest.raises(NotFound, match="none; deploy one first"):
            deployments.latest(session, other.id, "prove")
        drawn = [Source(xml=ASK, forms={"svar": FORM})]
        (own,) = deployments.deploy(session, other.id, drawn, now=lab.clock(), actor_id=None)
        assert own.version == 1


def test_a_process_that_is_not_there_is_answered_with_those_that_are(lab: Lab) -> None:
    lab.deploy(ASK)
    with lab.database.reading() as session, pytest.raises(NotFound, match=r"no process 'prøve'. Deployed: prove\."):
        deployments.latest(session, lab.community_id, "prøve")


def test_a_form_that_nobody_could_fill_in_refuses_the_model_that_names_it(lab: Lab) -> None:
    source = deployments.Source(
        xml=model("start>ask ask>end", task("ask", WITH_FORM)),
        forms={"svar": {"id": "svar", "components": [{"type": "hologram", "key": "a"}]}},
    )
    with lab.database.transaction() as session, pytest.raises(ModelRefused, match="The form svar can't be used"):
        deployments.deploy(session, lab.community_id, [source], now=lab.clock(), actor_id=None)


def test_a_called_process_keeps_its_own_form_where_both_have_one_of_the_same_name(lab: Lab) -> None:
    inner = model("start>ask ask>end", task("ask", WITH_FORM), process="inner")
    outer = model("start>c c>then then>end", call("c", "inner"), task("then", WITH_FORM))
    other = {**FORM, "components": [{"type": "textfield", "key": "egen", "label": "Egen"}]}
    for xml, form in ((inner, other), (outer, FORM)):
        with lab.database.transaction() as session:
            source = Source(xml=xml, forms={"svar": form})
            deployments.deploy(session, lab.community_id, [source], now=lab.clock(), actor_id=None)
    case = lab.begin()
    lab.send(lab.task(case, "ask").id, "person1", egen="ja")
    lab.send(lab.task(case, "then").id, "person1", utfall="ja")


def test_what_was_deployed_before_is_not_new_even_when_a_later_version_follows_it(lab: Lab) -> None:
    first = model("start>ask ask>end", task("ask", WITH_FORM))
    second = first.replace(b'name="ask"', b'name="Tegnet om"')
    sources = [Source(xml=xml, forms={"svar": FORM}) for xml in (first, second)]
    with lab.database.transaction() as session:
        assert deployments.unseen(session, lab.community_id, sources) == sources
    lab.deploy(first)
    lab.deploy(second)
    with lab.database.transaction() as session:
        assert deployments.unseen(session, lab.community_id, sources) == []


def test_what_the_newest_versions_say_is_fetched_once(world: World) -> None:
    with world.database.reading() as session:
        first = deployments.latest_models(session, world.community_id)
        with counting(world.database) as counted:
            assert deployments.latest_models(session, world.community_id) == first
    assert EVALUATION in first
    assert len(counted) == 1, str(counted)
