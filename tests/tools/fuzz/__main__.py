"""Run the commands over thousands of mutated inputs, and count what came of each kind.

    python -m tests.tools.fuzz [KIND …] [--mutants N] [--seed S] [--keep FOLDER]

Every command has to end within 60 s and 1.5 GB a process, without a traceback, with the good items in, each bad one a
row of the funnel or one error line, and nothing half-written. A trial that breaks a promise is kept in FOLDER, with the
seed that makes it again.
"""

import argparse
import collections
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.tools.fuzz import inputs, trials


def main() -> int:
    """Return 1 if any trial broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"any of {' '.join(inputs.KINDS)}; all by default")
    parser.add_argument("--mutants", type=int, default=500, help="mutated inputs of each kind, at least (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default 0)")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-faults", help="for bad trials")
    options = parser.parse_args()
    unknown = set(options.kinds) - set(inputs.KINDS)
    if unknown:
        parser.error(f"no kind {' '.join(sorted(unknown))}; the kinds are {' '.join(inputs.KINDS)}")
    was_broken = False
    with tempfile.TemporaryDirectory() as scratch:
        good = inputs.Good.make(Path(scratch) / "good")
        for kind in options.kinds or inputs.KINDS:
            was_broken |= _try_kind(kind, options, Path(scratch), good)
    return int(was_broken)


def _try_kind(kind: str, options: argparse.Namespace, scratch: Path, good: inputs.Good) -> bool:
    counts, faults, began, number = collections.Counter(), [], time.monotonic(), 0
    slowest = peak = 0.0
    while counts["mutants"] < options.mutants:
        seed = f"{options.seed}/{kind}/{number}"
        place = scratch / f"{kind}-{number}"
        place.mkdir()
        trial = inputs.KINDS[kind](place, Random(seed), good)
        outcome = trials.run(trial, in_process=inputs.run_command)
        counts.update(mutants=trial.mutants, commands=1, **{"ended well" if not outcome.code else "one error line": 1})
        slowest, peak = max(slowest, outcome.seconds), max(peak, outcome.peak)
        if outcome.faults:
            faults.append(seed)
            print(f"FAULT {seed}: {outcome.faults}: {' '.join(trial.arguments)}", flush=True)
            shutil.copytree(place, options.keep / seed.replace("/", "-"), symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(place)
        number += 1
    reported = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    took = f"slowest {slowest:.1f} s, largest process {peak / 1e6:.0f} MB, {time.monotonic() - began:.0f} s in all"
    print(f"{kind}: {reported}; {len(faults)} broke a promise; {took}", flush=True)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
