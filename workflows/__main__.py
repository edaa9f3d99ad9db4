"""The command line: `python -m workflows [TASK | hook on|off | pack NAME | serve FOLDER] …`."""

import sys

from luigi.cmdline import luigi_run

import workflows
from pipeline.errors import UserError
from workflows.cli import errors, hook, pack, serve
from workflows.cli import help as help_texts


def main(arguments: list[str]) -> None:
    """Run a command, or a task as `luigi --module workflows TASK …` does."""
    errors.install_error_reporter()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_texts.list_tasks(workflows.GROUPS), flush=True)  # so that a reader that has gone is seen here
    elif arguments[0] == "hook":
        switch = {"on": hook.enable, "off": hook.disable}.get(" ".join(arguments[1:]))
        if switch is None:
            found = " ".join(arguments[1:]) or "nothing"
            raise UserError("hook", f"'{found}' given", "on or off", "run python -m workflows hook on")
        print(switch(), flush=True)
    elif arguments[0] == "pack":
        print(pack.main(arguments[1:]), flush=True)
    elif arguments[0] == "serve":
        serve.main(arguments[1:])
    else:
        luigi_run(["--module", "workflows", *("--help" if argument == "-h" else argument for argument in arguments)])


if __name__ == "__main__":
    main(sys.argv[1:])
