"""Values at hand in this process, because making them again takes long."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """The latest `size` values by key; another process, or this one later, makes what it misses again."""

    def __init__(self, size: int) -> None:
        self._size, self._held, self._lock = size, dict[object, V](), threading.Lock()

    def put(self, key: object, value: V) -> V:
        """Keep a value, in place of the oldest where there is no room; answers it."""
        with self._lock:
            while len(self._held) >= self._size:
                self._held.pop(next(iter(self._held)))
            self._held[key] = value
        return value

    def get(self, key: object, make: Callable[[], V]) -> V:
        """The value, made where there is none. Two that ask for the same at once may both make it."""
        with self._lock:
            if key in self._held:
                return self._held[key]
        return self.put(key, make())
