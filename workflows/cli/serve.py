"""`python -m workflows serve FOLDER`: a web server for a page, to look at it on this machine."""

import argparse
import contextlib
from pathlib import Path

from pipeline.errors import UserError


def main(arguments: list[str]) -> None:
    """Serve until Ctrl-C. Raise UserError."""
    parser = argparse.ArgumentParser(prog="python -m workflows serve", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="what ExportDemo made, such as data/demo/page")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in (default: 127.0.0.1)")
    given = parser.parse_args(arguments)
    from models.page import MODELS, server  # late: --help needs none of it

    folder = Path(given.folder).expanduser()
    if not (folder / MODELS).is_file():
        found = f"is no page: it has no {MODELS}"
        raise UserError(folder, found, "a folder that ExportDemo made", "run ExportDemo, or give another folder")
    try:
        opened = server.open_server(folder, given.host, given.port)
    except (OSError, OverflowError) as error:
        found = getattr(error, "strerror", None) or str(error)
        place = f"{given.host}:{given.port}"
        raise UserError(place, found, "an address that is free", "give another --port") from error
    with opened, contextlib.suppress(KeyboardInterrupt):
        host, port = opened.server_address[:2]
        print(f"http://{host!s}:{port}/ shows {folder}; Ctrl-C ends it", flush=True)
        opened.serve_forever()
