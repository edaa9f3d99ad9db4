"""ReviewDataset: looking through a dataset, and correcting it by hand."""

import contextlib
import logging
import signal
import threading
from pathlib import Path

import luigi

from workflows.base.stage import disk_errors_as_user_errors
from workflows.cli.parameters import FilePath, WholeNumber

logger = logging.getLogger("luigi-interface")


class ReviewDataset(luigi.Task):
    """A page in the browser to look through a dataset: keep, drop, another hair colour. Corrections are written to
    corrections/NAME.csv at once, and the next build of that name applies them. Ctrl-C, or the button of the page, ends
    it."""

    name = luigi.Parameter(default="faces", description="name of the dataset: datasets/NAME below the data root")
    port = WholeNumber(0, 65535, default=0, significant=False, description="port on 127.0.0.1; 0: any that is free")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of the datasets")

    is_done = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        from pipeline.datasets import publish

        publish.check_name(self.name)

    def complete(self) -> bool:
        """Return whether the review is over: each command is a new one."""
        return self.is_done

    def run(self) -> None:
        from pipeline.datasets.review.review import open_review
        from pipeline.datasets.review.server import Server

        with disk_errors_as_user_errors(self.data_root), open_review(self.data_root, self.name) as review:
            with Server(review, self.port) as server, _interrupt_sets(server.done):
                threading.Thread(target=server.serve_forever, daemon=True).start()
                logger.info("look through it at %s (end with Ctrl-C)", server.url)
                server.done.wait()
                server.shutdown()
            logger.info("%s; the next build of %s applies them", review.summary(), self.name)
        self.is_done = True


@contextlib.contextmanager
def _interrupt_sets(event: threading.Event):
    """Let Ctrl-C set the event, rather than end the command: here it is the ordinary way to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
