"""Ways through a model: what nothing leads to, dead ends, and joins that wait for ever or fire twice."""

from collections.abc import Iterator, Mapping, Sequence

from engine.bpmn.lint_drawing import GATEWAYS, Drawing, Node, Scope, condition_of, finding
from engine.errors import Finding

#: Joins of a larger scope are not looked at: the search takes a time that grows with its square.
MAX_POINTS = 2_000
#: Above everything in a scope.
_ABOVE = ""


def paths(drawing: Drawing) -> Iterator[Finding]:
    """Everything about ways through the model. Warnings only."""
    for scope in drawing.scopes:
        yield from _unreachable(scope)
        yield from _dead_ends(scope)
        yield from _joins(scope)


def _begins(scope: Scope) -> list[Node]:
    """Where tokens begin, or what waits from the beginning."""
    starts = [n for n in scope.nodes.values() if n.kind == "startEvent"]
    begin = starts or [
        n for n in scope.nodes.values() if not n.incoming and n.kind != "boundaryEvent" and not _catches_link(n)
    ]
    return [*begin, *(n for n in scope.nodes.values() if n.is_event_sub_process and n not in begin)]


def _catches_link(node: Node) -> bool:
    return node.kind == "intermediateCatchEvent" and node.event == "link"


def _following(scope: Scope) -> dict[str, list[str]]:
    """Node or flow -> what a token reaches next: flows, boundary events, the other end of a link."""
    after: dict[str, list[str]] = {}
    catches = {n.definition.name: n.id for n in scope.nodes.values() if _catches_link(n) and n.definition}
    for node in scope.nodes.values():
        ahead = _flows(node)
        ahead += [event.id for event in node.boundary]
        if node.kind == "intermediateThrowEvent" and node.event == "link" and node.definition:
            ahead += [catches[node.definition.name]] if node.definition.name in catches else []
        after[node.id] = ahead
        for flow in node.outgoing:
            after[_point(flow.get("id", ""))] = [flow.get("targetRef", "")]
    return after


def _point(flow_id: str) -> str:
    """A flow's name among nodes; no id has a blank in it."""
    return f"flow {flow_id}"


# --- reachable, dead ends ---------------------------------------------------------------------------------------------


def _unreachable(scope: Scope) -> Iterator[Finding]:
    after = _following(scope)
    reached: set[str] = set()
    ahead = [node.id for node in _begins(scope)]
    while ahead:
        point = ahead.pop()
        if point not in reached:
            reached.add(point)
            ahead += after.get(point, ())
    for node in scope.nodes.values():
        if node.id not in reached and node.event != "link":
            yield finding("unreachable", node, "Nothing leads here.", "Connect or remove it.", warning=True)


def _dead_ends(scope: Scope) -> Iterator[Finding]:
    for node in scope.nodes.values():
        ends = node.kind == "endEvent" or (node.kind == "intermediateThrowEvent" and node.event == "link")
        if not node.outgoing and not ends and not node.is_event_sub_process:
            message = "Nothing leads on from here: the path ends without an end event."
            yield finding("dead-end", node, message, "Connect it to an end event.", warning=True)


# --- joins ------------------------------------------------------------------------------------------------------------


def _joins(scope: Scope) -> Iterator[Finding]:
    joins = [n for n in scope.nodes.values() if len(n.incoming) > 1 and n.kind not in ("inclusiveGateway", "endEvent")]
    if not joins or len(scope.nodes) + len(scope.flows) > MAX_POINTS:
        return
    above = _dominators(_following(scope), [node.id for node in _begins(scope)])
    choosing, splitting = dict(_choices(scope)), dict(_forks(scope))
    for join in joins:
        incoming = [_point(flow.get("id", "")) for flow in join.incoming]
        if join.kind == "parallelGateway" and _share_a_split(incoming, above, choosing):
            message = "It waits for ever: only one of the paths that lead here is taken."
            yield finding("join", join, message, "Join them with the kind of gateway that split them.", warning=True)
        elif join.kind != "parallelGateway" and _share_a_split(incoming, above, splitting):
            message = "It runs once for each of the parallel paths that lead here."
            yield finding("join", join, message, "Join them with a parallel gateway first.", warning=True)


def _choices(scope: Scope) -> Iterator[tuple[str, tuple[str, str]]]:
    """What leads on from where only one way is taken -> (the choosing node, which way)."""
    for node in scope.nodes.values():
        interrupting = [e for e in node.boundary if e.element.get("cancelActivity", "true") == "true"]
        if node.kind in ("exclusiveGateway", "eventBasedGateway") and len(node.outgoing) > 1:
            yield from ((point, (node.id, point)) for point in _flows(node))
        elif interrupting:
            yield from ((point, (node.id, "completed")) for point in _flows(node))
            yield from ((event.id, (node.id, event.id)) for event in interrupting)


def _forks(scope: Scope) -> Iterator[tuple[str, tuple[str, str]]]:
    """What leads on from where all ways are taken -> (the node, which way)."""
    for node in scope.nodes.values():
        plain = node.kind not in GATEWAYS and not any(map(condition_of, node.outgoing)) and not node.default
        if len(node.outgoing) > 1 and (plain or node.kind == "parallelGateway"):
            yield from ((point, (node.id, point)) for point in _flows(node))


def _flows(node: Node) -> list[str]:
    return [_point(flow.get("id", "")) for flow in node.outgoing]


def _share_a_split(flows: Sequence[str], above: Mapping[str, str], splits: Mapping[str, tuple[str, str]]) -> bool:
    """Are two of the flows reached only through different ways of the same split?"""
    way_of: dict[str, str] = {}
    for flow in flows:
        point: str | None = flow
        while point and point in above:
            split, way = splits.get(point, ("", ""))
            if split and way_of.setdefault(split, way) != way:
                return True
            point = above[point]
    return False


def _dominators(after: Mapping[str, Sequence[str]], starts: Sequence[str]) -> dict[str, str]:
    """Point -> the nearest point that every way to it passes. Cooper, Harvey and Kennedy's iteration."""
    order = _order({**after, _ABOVE: starts})
    number = {point: position for position, point in enumerate(order)}
    before: dict[str, list[str]] = {}
    for point in order:
        for following in starts if point == _ABOVE else after.get(point, ()):
            before.setdefault(following, []).append(point)
    nearest = {_ABOVE: _ABOVE}
    changed = True
    while changed:
        changed = False
        for point in order[1:]:
            known = [p for p in before[point] if p in nearest]
            common = known[0]
            for other in known[1:]:
                common = _common(common, other, nearest, number)
            if nearest.get(point) != common:
                nearest[point], changed = common, True
    return nearest


def _common(one: str, other: str, nearest: Mapping[str, str], number: Mapping[str, int]) -> str:
    while one != other:
        while number[one] > number[other]:
            one = nearest[one]
        while number[other] > number[one]:
            other = nearest[other]
    return one


def _order(after: Mapping[str, Sequence[str]]) -> list[str]:
    """What is reached, each point before those that can only come after it."""
    seen, done = {_ABOVE}, []
    waiting = [(_ABOVE, iter(after[_ABOVE]))]
    while waiting:
        point, ahead = waiting[-1]
        following = next((p for p in ahead if p not in seen), None)
        if following is None:
            done.append(point)
            waiting.pop()
        else:
            seen.add(following)
            waiting.append((following, iter(after.get(following, ()))))
    return done[::-1]
