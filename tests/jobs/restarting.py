"""`reslearn`, as `torchrun` starts it; the last process dies once in the middle of a training."""

from __future__ import annotations

import os
import sys

from reslearn.cli.app import main
from reslearn.train import loop

if __name__ == "__main__":
    count = loop.count_step

    def dying(work, *given):
        count(work, *given)
        if (
            work.progress.step == 4
            and work.world.rank == work.world.size - 1
            and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        ):
            os._exit(9)

    loop.count_step = dying
    sys.exit(main(sys.argv[1:]))
