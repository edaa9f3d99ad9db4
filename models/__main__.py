"""`python -m models [--json]`: what can be trained. `python -m models train JOB`: one training, as tasks start it."""

import argparse
import functools
import json
import sys

import torch


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models", description="What can be trained, and how large it is.")
    parser.add_argument("--json", action="store_true", help="one object a line")
    commands = parser.add_subparsers(dest="command", metavar="")
    train = commands.add_parser("train", description="Train a run, as the tasks do in a process of its own.")
    train.add_argument("job", help="models.runs.Job, as JSON")
    arguments = parser.parse_args()
    if arguments.command == "train":
        from models.runs import folder as runs

        job = runs.Job(**json.loads(arguments.job))
        sys.exit(runs.in_child(functools.partial(runs.start, job), job.run))
    rows = list(sizes())
    if arguments.json:
        for row in rows:
            print(json.dumps({key: row[key] for key in ("name", "network", "parameters")}))
        return
    wide = max(len(row["task"]) for row in rows) + 2
    print(f"{'name':<18}{'network':<16}{'parameters':>13}  {'task':<{wide}}paper")
    for row in rows:
        print(f"{row['name']:<18}{row['network']:<16}{row['parameters']:>13,}  {row['task']:<{wide}}{row['paper']}")


def sizes():
    """A dict for each network of ZOO, with its trainable parameters at the `article` preset."""
    from models.zoo import MODELS

    for name, entry in MODELS.items():
        for network, build in entry.networks.items():
            with torch.device("meta"):  # no memory, no time
                parameters = sum(p.numel() for p in build(entry.presets["article"]).parameters())
            yield {"name": name, "network": network, "parameters": parameters, "task": entry.task, "paper": entry.paper}


if __name__ == "__main__":
    main()
