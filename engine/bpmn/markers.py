"""The markers that let an activity run several times: standard loop and multi-instance.

The activity's own token waits, with its boundary events; each run is a token of its own that belongs to it.
"""

from typing import Any

from engine.bpmn import tokens
from engine.bpmn.activities import Activity, Marker
from engine.bpmn.elements import wake
from engine.bpmn.expressions import ExpressionError
from engine.bpmn.tokens import Token, case_of, enter

#: More instances than this at once are a mistake in the model.
MAX_INSTANCES = 10_000


class StandardLoop(Marker):
    """Runs while a condition holds, at most so many times."""

    numbered = False

    def __init__(self, *, condition: str | None, maximum: int | None, test_before: bool) -> None:
        self.condition = condition
        self.maximum = maximum
        self.test_before = test_before

    def begin(self, element: Activity, token: Token) -> bool:
        if self.test_before and not self._goes_on(token, 0):
            return True
        self._turn(element, token, 0)
        return False

    def instance_done(self, element: Activity, token: Token, instance: Token) -> None:
        count = int(instance.internal_data["index"]) + 1
        if self._goes_on(instance, count):
            self._turn(element, token, count)
        else:
            wake(token)

    def _turn(self, element: Activity, token: Token, count: int) -> None:
        enter(token.workflow, element.name, data={"loopCounter": count}, marker=str(token.id), index=count)

    def _goes_on(self, token: Token, count: int) -> bool:
        if self.maximum is not None and count >= self.maximum:
            return False
        return self.condition is None or bool(case_of(token).value(token, self.condition, {"loopCounter": count}))


class MultiInstance(Marker):
    """Runs once per item of a list, or so many times; all at once or one after the other."""

    def __init__(
        self,
        *,
        sequential: bool,
        collection: str | None,
        cardinality: str | None,
        item: str | None,
        result: str | None,
        result_item: str | None,
        completion_condition: str | None,
    ) -> None:
        self.sequential = sequential
        self.collection = collection
        self.cardinality = cardinality
        self.item = item
        #: The list that gets each instance's `result_item`, in the order of the items.
        self.result = result
        self.result_item = result_item
        self.completion_condition = completion_condition

    def begin(self, element: Activity, token: Token) -> bool:
        items = self._items(token)
        token.internal_data.update(total=len(items), completed=0, results=[None] * len(items))
        if self.sequential:
            token.internal_data["items"] = items
        if not items:
            self._give_result(token)
            return True
        for index in range(1 if self.sequential else len(items)):
            self._instance(element, token, index, items[index])
        return False

    def instance_done(self, element: Activity, token: Token, instance: Token) -> None:
        known, index = token.internal_data, int(instance.internal_data["index"])
        known["completed"] += 1
        if self.result_item:
            known["results"][index] = case_of(token).value(instance, self.result_item)
        if self._is_enough(token, instance):
            for other in tokens.attached(token, "marker"):
                if other is not instance:
                    tokens.remove(other)
            self._give_result(token)
            wake(token)
        elif self.sequential:
            self._instance(element, token, index + 1, known["items"][index + 1])

    def _items(self, token: Token) -> list[Any]:
        case = case_of(token)
        if self.collection:
            found = case.value(token, self.collection)
            items = list(found) if isinstance(found, list | dict) else None
        else:
            number = case.value(token, self.cardinality or "")
            is_count = isinstance(number, int) and not isinstance(number, bool) and number >= 0
            items = list(range(number)) if is_count and number <= MAX_INSTANCES else None
        source = self.collection or self.cardinality or ""
        if items is None or len(items) > MAX_INSTANCES:
            wanted = "a list" if self.collection else "a whole number"
            raise ExpressionError(f"Expected {wanted} of at most {MAX_INSTANCES} instances", 1, source)
        return items

    def _instance(self, element: Activity, token: Token, index: int, item: Any) -> None:
        local: dict[str, Any] = {"loopCounter": index}
        if self.result_item and self.result_item.isidentifier():
            # Its own in each instance, so that instances at once do not overwrite each other's.
            local[self.result_item] = None
        if self.item:
            local[self.item] = item
        enter(token.workflow, element.name, data=local, marker=str(token.id), index=index)

    def _is_enough(self, token: Token, instance: Token) -> bool:
        known = token.internal_data
        if known["completed"] >= known["total"]:
            return True
        if not self.completion_condition:
            return False
        active = 1 if self.sequential else known["total"] - known["completed"]
        counters = {
            "nrOfInstances": known["total"],
            "nrOfCompletedInstances": known["completed"],
            "nrOfActiveInstances": active,
        }
        return bool(case_of(token).value(instance, self.completion_condition, counters))

    def _give_result(self, token: Token) -> None:
        if self.result:
            tokens.set_variables(token, {self.result: token.internal_data["results"]})
