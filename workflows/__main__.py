"""`python -m workflows X …`: `luigi --module workflows X …`. And `python -m workflows hook on|off`, `… pack NAME`."""

import sys

from luigi.cmdline import luigi_run

from pipeline.errors import UserError
from workflows.cli import errors as console
from workflows.cli import hook, pack


def main(arguments: list[str]) -> None:
    console.install_error_reporter()
    if arguments[:1] == ["hook"]:
        switch = {("on",): hook.on, ("off",): hook.off}.get(tuple(arguments[1:]))
        if switch is None:
            found = " ".join(arguments[1:]) or "nothing"
            raise UserError("hook", f"'{found}' given", "on or off", "say python -m workflows hook on")
        print(switch())
    elif arguments[:1] == ["pack"]:
        print(pack.main(arguments[1:]))
    else:
        luigi_run(["--module", "workflows", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
