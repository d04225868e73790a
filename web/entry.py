"""The way in of the `avtaleflyt` command: what is imported is kept for as long as the process lives.

Looking through it for garbage, again and again while it is being imported, took a fifth of the time to start; and a
fifth of what a page takes afterwards, where it is not put aside.
"""

import gc
import importlib


def main() -> None:
    """Import everything, and do what the command line says."""
    gc.disable()
    cli = importlib.import_module("web.cli")
    gc.enable()
    gc.freeze()
    cli.main()


if __name__ == "__main__":
    main()
