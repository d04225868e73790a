"""`make bench`: one JSON line per row on stdout, how far it has come on stderr.

Rows are measured on both databases, except those about several processes, which only PostgreSQL serves.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence

from bench import acts, load, pages
from bench.measuring import Row, told
from bench.surroundings import BACKENDS, Surroundings, surroundings

Work = Callable[[Surroundings], Iterator[Row]]

#: Everything there is, in the order in which it is measured.
WORKS: dict[str, Work] = {
    work.__name__: work
    for work in (
        acts.complete_task, acts.start_instance, acts.survey_answer, acts.send_backs, acts.crowd, acts.virtual_year,
        acts.rehearsal,
        pages.pages, pages.page_weight, pages.my_tasks, load.idle_timers, load.cold_start, load.http_cases,
        load.memory, load.due_storm, load.mail_storm,
    )
}  # fmt: skip
#: SQLite serves one process.
SEVERAL_PROCESSES = frozenset({"http_cases", "memory", "due_storm"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON line per row."""
    chosen = _chosen(arguments)
    for backend in [chosen.backend] if chosen.backend else BACKENDS:
        names = [n for n in chosen.names or WORKS if backend == "postgresql" or n not in SEVERAL_PROCESSES]
        if names:
            with surroundings(backend, quick=chosen.quick) as on:
                for name in names:
                    with told(f"{name} on {backend}"):
                        for row in WORKS[name](on):
                            print(row.as_json(), flush=True)


def _chosen(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=_described())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="name", help="which rows; all without any")
    parser.add_argument("--backend", choices=BACKENDS, help="one kind of database; both without")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes: only to see that it runs")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.names if name not in WORKS]:
        parser.error(f"there is no row {unknown[0]!r}")
    return chosen


def _described() -> str:
    return "rows:\n" + "\n".join(f"  {name:16}{(work.__doc__ or '').splitlines()[0]}" for name, work in WORKS.items())


if __name__ == "__main__":
    main()
