"""Moves the live state of a case from one version of its models to another.

Tokens are put on the same elements of the new version, or on those that a mapping names; what hangs on them - boundary
events, listeners, rivals - becomes what the new version has. What can't be moved safely is a problem, and then nothing
is moved at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from engine.bpmn import activities, event_elements, gateways, markers, serialization
from engine.bpmn.activities import Activity
from engine.bpmn.elements import Element
from engine.bpmn.parsing import Specification
from engine.bpmn.tokens import ScopeSpec


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a case can't be moved: a code, the place, and what else is to be said about it."""

    #: element-gone, other-scope, other-kind, other-number, other-process, join-flow-gone, join-starves or race-gone.
    code: str
    call_path: str
    element_id: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one token: it gets another element, or an event begins, changes or ends to be waited for."""

    #: moved, begins, changes or ends.
    kind: str
    call_path: str
    element_id: str
    to_element_id: str


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """The state on the new version; with problems there is none."""

    document: bytes | None
    problems: tuple[Problem, ...]
    changes: tuple[Change, ...]
    #: User tasks of the new version that the case has already gone past.
    passed: tuple[str, ...]


def migrate(document: bytes, old: Specification, new: Specification, mapping: Mapping[str, str]) -> Migrated:
    """`document` on the new version; `mapping` says which element takes another's place, by ids."""
    moving = _Moving(serialization.read(document, old), old, new, mapping)
    moving.scope(moving.scopes[0], old.spec, new.spec, "")
    problems = tuple(dict.fromkeys(moving.problems))
    return Migrated(
        document=None if problems else serialization.write(moving.scopes),
        problems=problems,
        changes=tuple(moving.changes),
        passed=tuple(dict.fromkeys(moving.passed)),
    )


@dataclass
class _Moving:
    """One migration under way: changes the scopes in place, and notes what stands in the way."""

    scopes: list[dict[str, Any]]
    old: Specification
    new: Specification
    mapping: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def scope(self, kept: dict[str, Any], old: ScopeSpec, new: ScopeSpec, path: str) -> None:
        """Move one scope, then what runs inside its tokens."""
        tokens: list[dict[str, Any]] = kept["tokens"]
        hanging = [t for t in tokens if "host" in t.get("known", {}) or self._listens(t, old)]
        standing = [t for t in tokens if t not in hanging]
        placed = [(t, old.task_specs[t["element"]], self._target(t, old, new, path)) for t in standing]
        inner = [(t, was, now) for t, was, now in placed if now is not None]
        for token, was, now in inner:
            self._place(token, was, now, path)
        kept["tokens"] = [*standing, *self._boundaries(inner, hanging, old, path)]
        kept["tokens"] += self._listeners(kept["tokens"], hanging, old, new, path)
        kept["tokens"] = self._races(kept["tokens"], old, new, path)
        if len(inner) == len(standing):
            self._look_ahead(kept["tokens"], old, new, path)
        for token, was, now in inner:
            self._inside(token, was, now, path)

    # --- tokens that stand somewhere --------------------------------------------------------------------------------

    def _listens(self, token: dict[str, Any], old: ScopeSpec) -> bool:
        return token["element"] in old.listeners and not token.get("known", {}).get("triggered")

    def _target(self, token: dict[str, Any], old: ScopeSpec, new: ScopeSpec, path: str) -> Element | None:
        """The element of the new version that the token will stand on; a problem where there is none that fits."""
        identity = token["element"]
        wanted = self.mapping.get(identity, identity)
        found = new.task_specs.get(wanted)
        if not isinstance(found, Element):
            elsewhere = any(
                wanted in spec.task_specs for spec in self.new.subprocesses.values() if spec.model is new.model
            )
            self._problem("other-scope" if elsewhere else "element-gone", path, identity, wanted)
            return None
        if token["state"] == "ready":
            return found  # not begun: it may become anything
        was = old.task_specs[identity]
        if type(found) is not type(was):
            self._problem("other-kind", path, identity, wanted)
            return None
        if not _asks_alike(was, found, old, new):
            self._problem("other-number", path, identity, wanted)
            return None
        return found

    def _place(self, token: dict[str, Any], was: Element, now: Element, path: str) -> None:
        if now.name != was.name:
            self._change("moved", path, was.name, now.name)
        token["element"] = now.name
        if token["state"] == "waiting":
            self._rejoin(token, was, now, path)
        elif _waits_for(was) != _waits_for(now):
            self._change("changes", path, was.name, now.name)
            _listen_anew(token)

    def _rejoin(self, token: dict[str, Any], was: Element, now: Element, path: str) -> None:
        """A token waits at a join: the flow it came along must still lead there."""
        came = token.get("known", {}).get("flow")
        if came is None or came in now.incoming:
            return  # one that a person has put here came along no flow
        source = next((s.name for s in _elements(was._wf_spec) if any(f.id == came for f in s.flows)), "")
        moved = now._wf_spec.task_specs.get(self.mapping.get(source, source))
        # Whatever the new version has put between is behind the token now.
        same = (
            [f for f in now.incoming if f in gateways.flows_reached(moved, now.name)]
            if isinstance(moved, Element)
            else []
        )
        if len(same) == 1:
            token["known"]["flow"] = same[0]
        else:
            self._problem("join-flow-gone", path, was.name, source)

    # --- what hangs on them -------------------------------------------------------------------------------------------

    def _boundaries(
        self, placed: list[tuple[dict[str, Any], Element, Element]], hanging: list[dict[str, Any]], old: ScopeSpec,
        path: str,
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        """Boundary events as the new version has them, on activities that have begun."""
        for token, _was, now in placed:
            if not isinstance(now, Activity) or token["state"] != "started" or "marker" in token.get("known", {}):
                continue
            mine = {
                self.mapping.get(t["element"], t["element"]): t
                for t in hanging
                if t.get("known", {}).get("host") == token["id"]
            }
            for gone in mine.keys() - set(now.boundary):
                self._change("ends", path, mine[gone]["element"], mine[gone]["element"])
            for name in now.boundary:
                yield self._event(mine.get(name), name, now._wf_spec, old, path, host=token["id"])

    def _listeners(
        self, tokens: list[dict[str, Any]], hanging: list[dict[str, Any]], old: ScopeSpec, new: ScopeSpec, path: str
    ) -> list[dict[str, Any]]:
        """Event sub-processes as the new version has them, unless one has already taken the scope over."""
        if any(_took_over(t, new) for t in tokens):
            return []
        mine = {self.mapping.get(t["element"], t["element"]): t for t in hanging if t["element"] in old.listeners}
        for gone in mine.keys() - set(new.listeners):
            self._change("ends", path, mine[gone]["element"], mine[gone]["element"])
        return [self._event(mine.get(name), name, new, old, path) for name in new.listeners]

    def _event(
        self, token: dict[str, Any] | None, name: str, new: ScopeSpec, old: ScopeSpec, path: str, **known: str
    ) -> dict[str, Any]:
        if token is None:
            self._change("begins", path, name, name)
            return {"id": str(uuid4()), "element": name, "state": "ready", "known": known}
        was, now = old.task_specs[token["element"]], new.task_specs[name]
        if _waits_for(was) != _waits_for(now):
            self._change("changes", path, was.name, name)
            _listen_anew(token)
        token["element"] = name
        return token

    def _races(self, tokens: list[dict[str, Any]], old: ScopeSpec, new: ScopeSpec, path: str) -> list[dict[str, Any]]:
        """The rivals behind an event-based gateway as the new version has them."""
        for gateway in [t for t in tokens if isinstance(new.task_specs.get(t["element"]), gateways.EventBasedGateway)]:
            if gateway["state"] != "started":
                continue
            flows = {flow.target: flow.id for flow in new.task_specs[gateway["element"]].flows}
            rivals = [t for t in tokens if t.get("known", {}).get("race") == gateway["id"]]
            gone = [t for t in rivals if t["element"] not in flows]
            for token in gone:
                self._change("ends", path, token["element"], token["element"])
            tokens = [t for t in tokens if t not in gone]
            for target in flows.keys() - {t["element"] for t in rivals}:
                self._change("begins", path, target, target)
                known = {"race": gateway["id"], "flow": flows[target]}
                tokens.append({"id": str(uuid4()), "element": target, "state": "ready", "known": known})
        return tokens

    # --- inside and ahead ---------------------------------------------------------------------------------------------

    def _inside(self, token: dict[str, Any], was: Element, now: Element, path: str) -> None:
        kept = next((s for s in self.scopes if s["host"] == token["id"]), None)
        if kept is None or not (isinstance(was, activities.SubProcess) and isinstance(now, activities.SubProcess)):
            return
        if isinstance(was, activities.CallActivity) and was.inner != now.inner:
            self._problem("other-process", path, was.name, now.inner)
            return
        old, new = self.old.subprocesses[was.inner], self.new.subprocesses[now.inner]
        known, marker = token.get("known", {}), now.marker
        number = f"[{known['index']}]" if marker is not None and marker.numbered and "index" in known else ""
        self.scope(kept, old, new, f"{path}/{now.name}{number}".removeprefix("/"))

    def _look_ahead(self, tokens: list[dict[str, Any]], old: ScopeSpec, new: ScopeSpec, path: str) -> None:
        """Joins that would wait for ever, and people's work that the new version has behind where the case stands."""
        standing = [(t, new.task_specs[t["element"]]) for t in tokens]
        for join in (e for e in _elements(new) if isinstance(e, gateways.ParallelGateway) and len(e.incoming) > 1):
            here = [t.get("known", {}).get("flow") for t, e in standing if e is join and t["state"] == "waiting"]
            coming = set().union(*(gateways.flows_reached(e, join.name) for _, e in standing if e is not join))
            starved = set(join.incoming) - set(here) - coming
            if len(starved) > here.count(None) and (here or coming & set(join.incoming)):
                self._problem("join-starves", path, join.name, ", ".join(sorted(starved)))
        ahead = {e.name for _, e in standing}
        for _, element in standing:
            reached = gateways.flows_reached(element, "")
            ahead |= {flow.target for e in _elements(new) for flow in e.flows if flow.id in reached}
            ahead |= {name for e in _elements(new) if e.name in ahead for name in getattr(e, "boundary", ())}
        added = [e.name for e in _elements(new) if isinstance(e, activities.UserTask) and e.name not in old.task_specs]
        self.passed += [name for name in added if name not in ahead and name not in self.mapping.values()]

    def _problem(self, code: str, path: str, element_id: str, detail: str = "") -> None:
        self.problems.append(Problem(code=code, call_path=path, element_id=element_id, detail=detail))

    def _change(self, kind: str, path: str, element_id: str, to_element_id: str) -> None:
        self.changes.append(Change(kind=kind, call_path=path, element_id=element_id, to_element_id=to_element_id))


def _elements(scope: Any) -> list[Element]:
    return [spec for spec in scope.task_specs.values() if isinstance(spec, Element)]


def _waits_for(element: Element) -> object:
    """What decides when an event comes; another value means waiting anew."""
    definition = getattr(element, "definition", None)
    return definition, getattr(element, "interrupting", None)


def _listen_anew(token: dict[str, Any]) -> None:
    """Wait for what the new version says, from when the old waiting began."""
    if token["state"] != "started":
        return
    token["state"] = "ready"
    known = token.get("known", {})
    token["known"] = {
        name: known[name] for name in ("host", "race", "flow", "marker", "index", "since") if name in known
    }


def _took_over(token: dict[str, Any], new: ScopeSpec) -> bool:
    spec = new.task_specs.get(token["element"])
    return bool(
        isinstance(spec, event_elements.EventSubProcess)
        and spec.interrupting
        and token.get("known", {}).get("triggered")
    )


def _asks_alike(was: Element, now: Element, old: ScopeSpec, new: ScopeSpec) -> bool:
    """Is the work done as often, and in the same order, in both versions?"""
    if isinstance(was, activities.UserTask) and _order(old, was) != _order(new, now):
        return False
    return _repeats(was) == _repeats(now)


def _repeats(element: Element) -> tuple[str, bool]:
    """The marker's kind, and whether its instances come one after the other."""
    marker = element.marker if isinstance(element, Activity) else None
    return type(marker).__name__, isinstance(marker, markers.MultiInstance) and marker.sequential


def _order(spec: ScopeSpec, element: Element) -> str:
    """Does a user task ask one, several at once or one after the other?"""
    marker = spec.model.user_tasks[element.name].multi_instance
    return "one" if marker is None else "in turn" if marker.sequential else "at once"
