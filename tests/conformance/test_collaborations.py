"""What stands around processes and between them: pools, lanes, message flows; and what only documents."""

from tests.conformance.drawing import (
    DECLARED,
    HEAD,
    event,
    mapping,
    node,
    process,
    properties,
    refers,
    scope,
    script,
    user,
)
from tests.conformance.families import family
from tests.conformance.running import Run

KEY = properties(correlationKey="${order}")
BUYER = scope(
    "start>ask ask>answer answer>pay pay>end",
    event(
        "intermediateThrowEvent",
        "ask",
        refers("message", "A"),
        extension=KEY + mapping(takes={"order": "${order}", "wanted": "${wanted}"}),
    ),
    event("intermediateCatchEvent", "answer", refers("message", "B"), extension=KEY),
    user("pay"),
)
SELLER = scope(
    "asked>price price>tell",
    event("startEvent", "asked", refers("message", "A")),
    script("price", "price = wanted * 10"),
    event("endEvent", "tell", refers("message", "B"), extension=KEY + mapping(takes={"price": "${price}"})),
)
POOLS = (
    f'{HEAD}{DECLARED}<bpmn:collaboration id="c"><bpmn:participant id="p1" name="Buyer" processRef="buyer"/>'
    '<bpmn:participant id="p2" name="Seller" processRef="seller"/><bpmn:participant id="p3" name="Bank"/>'
    '<bpmn:messageFlow id="f1" sourceRef="ask" targetRef="asked"/>'
    '<bpmn:messageFlow id="f2" sourceRef="tell" targetRef="answer"/></bpmn:collaboration>\n'
    f'<bpmn:process id="buyer" isExecutable="true">{BUYER}</bpmn:process>\n'
    f'<bpmn:process id="seller" isExecutable="true">{SELLER}</bpmn:process></bpmn:definitions>'
).encode()
ONE_POOL = POOLS.replace(b'id="seller" isExecutable="true"', b'id="seller" isExecutable="false"')


def buyer(order: str, wanted: int) -> Run:
    return Run(POOLS, process="buyer", order=order, wanted=wanted)


@family(
    "pools and message flows",
    "collaboration",
    "Each pool is a case of its own; messages go between them, to the one whose correlation agrees.",
    ONE_POOL,
)
class TestPools:
    def test_a_message_starts_the_other_pool_and_its_answer_comes_back_to_the_one_who_asked(self) -> None:
        buyers = [buyer("o1", 1), buyer("o2", 2)]
        (asked,) = buyers[1].thrown
        seller = Run(POOLS, process="seller", event="asked", payload=asked.payload).assert_over()
        (told,) = seller.thrown
        assert (told.name, told.correlation) == ("B", "o2")
        assert not buyers[0].message(told.name, told.correlation, **told.payload)
        assert buyers[1].message(told.name, told.correlation, **told.payload)
        assert (buyers[1].variables["price"], buyers[0].waiting, buyers[1].waiting) == (20, [], ["pay"])
        buyers[1].do("pay").assert_over()

    def test_the_correlation_may_be_declared_as_the_standard_has_it(self) -> None:
        declared = (
            '<bpmn:correlationProperty id="cp" name="order">'
            '<bpmn:correlationPropertyRetrievalExpression messageRef="message_A">'
            "<bpmn:messagePath>order</bpmn:messagePath></bpmn:correlationPropertyRetrievalExpression></bpmn:correlationProperty>"
        )
        model = process(
            "start>and and>m and>n m>a n>b a>end b>end",
            event("intermediateThrowEvent", "m", refers("message", "A")),
            event("intermediateCatchEvent", "n", refers("message", "A")),
            declared=DECLARED + declared,
        )
        run = Run(model, order="o7")
        assert (run.waiting, run.thrown) == (["a", "b"], []), "both sides have the same order"


LANES = process(
    "start>a a>b b>end",
    '<bpmn:laneSet id="ls"><bpmn:lane id="left" name="Left"><bpmn:flowNodeRef>a</bpmn:flowNodeRef></bpmn:lane>'
    '<bpmn:lane id="right" name="Right"><bpmn:flowNodeRef>b</bpmn:flowNodeRef></bpmn:lane></bpmn:laneSet>',
    node("userTask", "a"),
    node("userTask", "b"),
)


@family("lane", "process", "It says who performs what stands in it; tokens pass from lane to lane.", LANES)
class TestLanes:
    def test_the_lane_is_the_tasks_role(self) -> None:
        run = Run(LANES)
        roles = [w.element.role for w in run.execution.waiting()]
        assert roles == ["left"]
        run.do("a")
        assert [w.element.role for w in run.execution.waiting()] == ["right"]
        run.do("b").assert_over()


DATA = process(
    "start>a a>end",
    '<bpmn:dataObject id="paper"/><bpmn:dataObjectReference id="paper_ref" name="Paper" dataObjectRef="paper"/>'
    '<bpmn:dataStoreReference id="archive" name="Archive"/>',
    user(
        "a",
        '<bpmn:ioSpecification><bpmn:dataInput id="in1"/><bpmn:inputSet><bpmn:dataInputRefs>in1</bpmn:dataInputRefs>'
        "</bpmn:inputSet><bpmn:outputSet/></bpmn:ioSpecification>"
        '<bpmn:dataInputAssociation id="dia"><bpmn:sourceRef>paper_ref</bpmn:sourceRef>'
        "<bpmn:targetRef>in1</bpmn:targetRef></bpmn:dataInputAssociation>",
    ),
    '<bpmn:textAnnotation id="note"><bpmn:text>Read this</bpmn:text></bpmn:textAnnotation>'
    '<bpmn:association id="as" sourceRef="a" targetRef="note"/><bpmn:group id="g"/>',
)


@family(
    "data object, data store, text annotation, group, association",
    "process",
    "They document; no token meets them.",
    DATA,
)
class TestDocumentation:
    def test_the_process_runs_as_if_they_were_not_there(self) -> None:
        Run(DATA).do("a").assert_over()
