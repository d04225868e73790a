"""Block-structured models: drawn as BPMN, and run by an interpreter of blocks that knows no tokens.

The interpreter is the oracle. A block that has begun is a term; `begin` and `answered` give the term that is left, None
when the block is over, and say on the way which automatic tasks ran.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

from tests.conformance.drawing import (
    boundary,
    handler,
    loop,
    mapping,
    node,
    process,
    refers,
    scope,
    script,
    several,
    sub_process,
    user,
)


@dataclass(frozen=True)
class Asks:
    """A user task, perhaps with a boundary event that never comes."""

    name: str
    event: bool


@dataclass(frozen=True)
class Does:
    """A script task."""

    name: str


@dataclass(frozen=True)
class Passes:
    """A task without work."""


@dataclass(frozen=True)
class Sequence_:
    """One after the other."""

    parts: tuple["Block", ...]


@dataclass(frozen=True)
class Choice:
    """An exclusive gateway; `taken` is the branch, the last is the default."""

    branches: tuple["Block", ...]
    taken: int


@dataclass(frozen=True)
class Together:
    """A parallel gateway."""

    branches: tuple["Block", ...]


@dataclass(frozen=True)
class Some:
    """An inclusive gateway; `taken` are the branches whose condition is met, without any the last."""

    branches: tuple["Block", ...]
    taken: frozenset[int]


@dataclass(frozen=True)
class Again:
    """A loop: by a gateway that leads back, or by a marker around a sub-process."""

    body: "Block"
    times: int
    marker: bool


@dataclass(frozen=True)
class Inner:
    """A sub-process."""

    body: "Block"


@dataclass(frozen=True)
class Each:
    """A sub-process per item."""

    body: "Block"
    times: int
    sequential: bool


@dataclass(frozen=True)
class Watched:
    """A sub-process that hears the signal A. Then somebody is asked, by the name `handler`.

    `kind` says where: at an interrupting boundary event (`outside`), in an event sub-process that interrupts
    (`instead`), or in one that does not (`beside`).
    """

    body: "Block"
    handler: str
    kind: str


Block = Asks | Does | Passes | Sequence_ | Choice | Together | Some | Again | Inner | Each | Watched


# --- as BPMN ----------------------------------------------------------------------------------------------------------


@dataclass
class Drawing:
    """One scope while it is drawn."""

    numbers: Iterator[int]
    flows: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    conditions: dict[str, str] = field(default_factory=dict)
    #: Counters of the loops drawn here.
    counters: list[str] = field(default_factory=list)


def as_model(block: Block) -> bytes:
    """The block as a process."""
    drawing = Drawing(numbers=count(1))
    first, last = _draw(block, drawing)
    drawing.flows += [f"start0>{first}", f"{last}>end0"]
    return process(" ".join(drawing.flows), *drawing.nodes, conditions=drawing.conditions)


def _draw(block: Block, drawing: Drawing) -> tuple[str, str]:
    """Draw a block; answers the ids of its first and last node."""
    number = next(drawing.numbers)
    match block:
        case Asks(name, event):
            drawing.nodes.append(user(name))
            if event:
                drawing.nodes.append(boundary(f"b{number}", name, refers("message", "C"), interrupting=False))
                drawing.flows.append(f"b{number}>end{number}")
            return name, name
        case Does(name):
            drawing.nodes.append(script(name))
            return name, name
        case Passes():
            drawing.nodes.append(node("task", f"p{number}"))
            return f"p{number}", f"p{number}"
        case Sequence_(parts):
            drawn = [_draw(part, drawing) for part in parts]
            drawing.flows += [f"{one[1]}>{two[0]}" for one, two in pairwise(drawn)]
            return drawn[0][0], drawn[-1][1]
        case Choice(branches, taken):
            return _gateways(f"xor{number}", branches, {taken}, drawing)
        case Some(branches, some):
            return _gateways(f"or{number}", branches, some, drawing)
        case Together(branches):
            return _gateways(f"and{number}", branches, None, drawing)
        case Again(body, times, False):
            return _loop(number, body, times, drawing)
        case Again(body, times, True):
            marker = loop(f"${{loopCounter < {times}}}")
        case Inner(body):
            marker = ""
        case Each(body, times, sequential):
            marker = several(str(list(range(times))), sequential=sequential)
        case Watched(body, name, "outside"):
            return _watched_outside(number, body, name, drawing)
        case Watched(body, name, kind):
            hears = handler(
                f"h{number}", refers("signal", "A"), f">{name} {name}>end{number}H", interrupting=kind == "instead"
            )
            return _sub_process(number, body, "", drawing, hears)
    return _sub_process(number, body, marker, drawing)


def _gateways(
    identity: str, branches: Sequence[Block], taken: "set[int] | frozenset[int] | None", drawing: Drawing
) -> tuple[str, str]:
    for position, branch in enumerate(branches):
        first, last = _draw(branch, drawing)
        is_default = taken is not None and position == len(branches) - 1
        drawing.flows += [f"{identity}{'=' if is_default else ''}>{first}", f"{last}>{identity}J"]
        if taken is not None and not is_default:
            drawing.conditions[f"{identity}>{first}"] = str(position in taken)
    return identity, f"{identity}J"


def _loop(number: int, body: Block, times: int, drawing: Drawing) -> tuple[str, str]:
    counter, begin, turn = f"c{number}", f"i{number}", f"t{number}"
    drawing.counters.append(counter)
    drawing.nodes += [script(begin, f"{counter} = 0"), script(turn, f"{counter} = {counter} + 1")]
    first, last = _draw(body, drawing)
    enter, leave = f"xor{number}", f"xor{number}L"
    drawing.flows += [f"{begin}>{enter}", f"{enter}>{first}", f"{last}>{turn}", f"{turn}>{leave}", f"{leave}>{enter}"]
    drawing.conditions[f"{leave}>{enter}"] = f"${{{counter} < {times}}}"
    drawing.nodes.append(node("exclusiveGateway", leave))
    drawing.nodes.append(node("task", f"o{number}"))
    drawing.flows.append(f"{leave}=>o{number}")
    return begin, f"o{number}"


def _watched_outside(number: int, body: Block, name: str, drawing: Drawing) -> tuple[str, str]:
    inner, _ = _sub_process(number, body, "", drawing)
    drawing.nodes.append(boundary(f"b{number}", inner, refers("signal", "A")))
    drawing.flows += [f"{inner}>xor{number}", f"b{number}>{name}", f"{name}>xor{number}"]
    return inner, f"xor{number}"


def _sub_process(number: int, body: Block, marker: str, drawing: Drawing, *beside: str) -> tuple[str, str]:
    inside = Drawing(numbers=drawing.numbers)
    first, last = _draw(body, inside)
    inside.flows += [f"start{number}>{first}", f"{last}>end{number}"]
    # Counters are each instance's own.
    own = mapping(takes=dict.fromkeys(inside.counters, "${0}")) if inside.counters else ""
    drawn = scope(" ".join(inside.flows), *inside.nodes, *beside, conditions=inside.conditions)
    drawing.nodes.append(sub_process(f"s{number}", drawn, inner=marker, extension=own))
    return f"s{number}", f"s{number}"


# --- as terms ---------------------------------------------------------------------------------------------------------


class Oracle:
    """Runs a block. `ran` counts the script tasks that ran."""

    def __init__(self, block: Block) -> None:
        self.ran: Counter[str] = Counter()
        self._numbers = _numbered(block)
        self.term = self._begin(block, "")

    @property
    def waiting(self) -> list[str]:
        """Where people are waited for, sorted."""
        return sorted(_asked(self.term))

    def answer(self, place: str) -> None:
        """Somebody answers at a place."""
        self.term = self._answered(self.term, place)

    def signal(self) -> None:
        """The signal A comes."""
        self.term = self._signalled(self.term)

    def _begin(self, block: Block, path: str) -> "Term":
        match block:
            case Asks(name):
                return Asked(path + name)
            case Does(name):
                self.ran[name] += 1
                return None
            case Passes():
                return None
            case Sequence_(parts):
                return self._go_on(Steps(None, tuple((part, path) for part in parts)))
            case Choice(branches, taken):
                return self._begin(branches[taken], path)
            case Some(branches, taken):
                chosen = sorted(taken - {len(branches) - 1}) or [len(branches) - 1]
                return self._beside([(branches[position], path) for position in chosen])
            case Together(branches):
                return self._beside([(branch, path) for branch in branches])
            case Again(body, times, marker):
                inside = f"{path}s{self._numbers[id(block)]}/" if marker else path
                return self._go_on(Steps(None, ((body, inside),) * times))
            case Inner(body):
                return self._begin(body, f"{path}s{self._numbers[id(block)]}/")
            case Each(body, times, sequential):
                runs = [(body, f"{path}s{self._numbers[id(block)]}[{index}]/") for index in range(times)]
                return self._go_on(Steps(None, tuple(runs))) if sequential else self._beside(runs)
            case Watched(body):
                now = self._begin(body, f"{path}s{self._numbers[id(block)]}/")
                return Watch(now, block, path, (), listens=True) if now is not None else None

    def _beside(self, blocks: Sequence[tuple[Block, str]]) -> "Term":
        begun = [self._begin(block, path) for block, path in blocks]
        terms = tuple(term for term in begun if term is not None)
        return Beside(terms) if terms else None

    def _go_on(self, steps: "Steps") -> "Term":
        now, ahead = steps.now, steps.ahead
        while now is None and ahead:
            (block, path), ahead = ahead[0], ahead[1:]
            now = self._begin(block, path)
        return Steps(now, ahead) if now is not None else None

    def _answered(self, term: "Term", place: str) -> "Term":
        match term:
            case Asked():
                return None if term.place == place else term
            case Steps(now, ahead):
                return self._go_on(Steps(self._answered(now, place), ahead))
            case Beside(terms):
                left = tuple(t for term in terms if (t := self._answered(term, place)) is not None)
                return Beside(left) if left else None
            case Watch():
                return self._answered_in(term, place)
        return None

    def _answered_in(self, watch: "Watch", place: str) -> "Term":
        handlers = list(watch.handlers)
        if Asked(place) in handlers:
            handlers.remove(Asked(place))
        left = replace(watch, now=self._answered(watch.now, place), handlers=tuple(handlers))
        return left if left.now is not None or left.handlers else None

    def _signalled(self, term: "Term") -> "Term":
        match term:
            case Steps(now, ahead):
                return Steps(self._signalled(now), ahead)
            case Beside(terms):
                return Beside(tuple(self._signalled(each) for each in terms))
            case Watch() if term.listens:
                return self._heard(term)
        return term

    def _heard(self, watch: "Watch") -> "Term":
        number = self._numbers[id(watch.block)]
        if watch.block.kind == "outside":
            return Asked(watch.path + watch.block.handler)
        asked = Asked(f"{watch.path}s{number}/h{number}/{watch.block.handler}")
        if watch.block.kind == "instead":
            return replace(watch, now=None, handlers=(asked,), listens=False)
        return replace(watch, now=self._signalled(watch.now), handlers=(*watch.handlers, asked))


@dataclass(frozen=True)
class Asked:
    """Waits for somebody."""

    place: str


@dataclass(frozen=True)
class Steps:
    """What runs now, and the blocks that come after it."""

    now: "Term"
    ahead: tuple[tuple[Block, str], ...]


@dataclass(frozen=True)
class Beside:
    """What runs at once."""

    terms: tuple["Term", ...]


@dataclass(frozen=True)
class Watch:
    """A sub-process that may hear the signal, and who is asked because it did."""

    now: "Term"
    block: Watched
    path: str
    handlers: tuple[Asked, ...]
    listens: bool


Term = Asked | Steps | Beside | Watch | None


def _asked(term: Term) -> Iterator[str]:
    match term:
        case Asked(place):
            yield place
        case Steps(now):
            yield from _asked(now)
        case Beside(terms):
            for each in terms:
                yield from _asked(each)
        case Watch(now, _, _, handlers):
            yield from _asked(now)
            for each in handlers:
                yield from _asked(each)


def _numbered(block: Block) -> dict[int, int]:
    """The number that `_draw` gives each block."""
    numbers: dict[int, int] = {}
    following = count(1)

    def visit(each: Block) -> None:
        numbers[id(each)] = next(following)
        parts = getattr(each, "parts", None) or getattr(each, "branches", None) or ()
        for part in (*parts, *([each.body] if isinstance(each, Again | Inner | Each | Watched) else [])):
            visit(part)

    visit(block)
    return numbers
