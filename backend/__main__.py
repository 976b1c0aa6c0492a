"""The command `splatwright`, also `python -m backend`."""

from __future__ import annotations

import sys

from backend.cli.command import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
