"""`python -m tests.support [--port N] [--posts N]` serves the fake sites until it is killed."""

import argparse
import threading
from contextlib import suppress

from tests.support.fake_site import FakeSite

parser = argparse.ArgumentParser(prog="python -m tests.support")
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--posts", type=int, default=60)
arguments = parser.parse_args()
with FakeSite(arguments.posts, port=arguments.port) as site, suppress(KeyboardInterrupt):
    print(site.url, flush=True)
    threading.Event().wait()
