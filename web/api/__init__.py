"""The API for other systems: the same verbs as the pages and the commands, for a person with a bearer token."""

from web.api import acts, messages, migration, more_time, moves, processes, tasks
from web.api.blueprint import blueprint

__all__ = ["acts", "blueprint", "messages", "migration", "more_time", "moves", "processes", "tasks"]
