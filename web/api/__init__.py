"""The API for other systems: the same verbs as the pages and the commands, for a person with a bearer token."""

from web.api import processes, tasks
from web.api.blueprint import blueprint

__all__ = ["blueprint", "processes", "tasks"]
