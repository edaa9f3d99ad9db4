"""`python -m models [--json]` lists the models; `python -m models train JOB` trains one, as the tasks start it."""

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from typing import Any


def main() -> None:
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m models", description="List the models with their numbers of trainable parameters."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    commands = parser.add_subparsers(dest="command", metavar="")
    train = commands.add_parser("train", description="Train a run, as the tasks do in a process of its own.")
    train.add_argument("job", help="models.runs.settings.Job, as JSON")
    arguments = parser.parse_args()
    if arguments.command == "train":
        from models.runs import settings, worker

        job = settings.Job(**json.loads(arguments.job))
        sys.exit(worker.run_worker(functools.partial(worker.train, job), job.run))
    rows = list(sizes())
    if arguments.json:
        for row in rows:
            print(json.dumps({key: row[key] for key in ("name", "network", "parameters")}))
        return
    wide = max(len(row["task"]) for row in rows) + 2
    print(f"{'name':<18}{'network':<16}{'parameters':>13}  {'task':<{wide}}paper")
    for row in rows:
        print(f"{row['name']:<18}{row['network']:<16}{row['parameters']:>13,}  {row['task']:<{wide}}{row['paper']}")


def sizes() -> Iterator[dict[str, Any]]:
    """Yield a dict for each network of MODELS, with its number of trainable parameters at the `article` preset."""
    from models.nn.plan import planned
    from models.zoo import MODELS

    for name, entry in MODELS.items():
        for network, build in entry.networks.items():
            with planned():
                parameters = sum(p.numel() for p in build(entry.presets["article"]).parameters())
            yield {"name": name, "network": network, "parameters": parameters, "task": entry.task, "paper": entry.paper}


if __name__ == "__main__":
    main()
