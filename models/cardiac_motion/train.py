"""`cardiac-motion train` as a module, for several processes: ``torchrun … -m cardiac_motion.train MODEL …``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cardiac_motion.cli import main as command


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and exit, as the command does; see `cardiac_motion.training.distributed`."""
    command(["train", *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    main()
