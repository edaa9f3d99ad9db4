"""Takedown: removing pictures from a data root."""

import logging
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.base.stage import disk_errors_as_user_errors
from workflows.cli.parameters import FilePath, require

logger = logging.getLogger("luigi-interface")


class Takedown(luigi.Task):
    """Removal of an artist's pictures, a site's, or one: originals, crops, rows and caches. They are blocked from now
    on, and runs that were trained on them are named."""

    artist = luigi.Parameter(default="", description="all pictures of this artist")
    url_prefix = luigi.Parameter(default="", description="all pictures whose file or page has such an address")
    sha256 = luigi.Parameter(default="", description="one picture, by the sha256 of its file or of a face's crop")
    reason = luigi.Parameter(default="", significant=False, description="why, for the block list")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of all that is made")

    is_done = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        given = [(kind, getattr(self, kind)) for kind in ("artist", "url_prefix", "sha256") if getattr(self, kind)]
        expected = "one of --artist, --url-prefix and --sha256"
        if len(given) != 1:
            raise UserError(
                "Takedown",
                " and ".join(f"--{kind.replace('_', '-')}" for kind, _ in given) + " given"
                if given
                else "nothing to remove was given",
                expected,
                "give one",
            )
        (self._kind, self._text), *_ = given
        from pipeline import blocklist

        try:
            blocklist.parse_cell(self._kind, self._text)
        except ValueError as error:
            option = "--" + self._kind.replace("_", "-")
            raise UserError(option, f"'{self._text}' given", str(error), "give it in full") from error
        require(self, self.data_root.is_dir(), "data_root", "a folder that is there")

    def complete(self) -> bool:
        return self.is_done

    def run(self) -> None:
        from pipeline.datasets import takedown

        with disk_errors_as_user_errors(self.data_root):
            outcome = takedown.take_down(self.data_root, self._kind, self._text, self.reason)
        self.is_done = True
        logger.info("taken down: %d pictures, %d faces; blocklist.csv keeps them out", outcome.images, outcome.faces)
        if not outcome.images:
            logger.warning("nothing of %s was found: is it spelled as in the manifest?", self._text)
        for path, why in outcome.unread.items():
            logger.warning("%s could not be read: look at it yourself (%s)", self.data_root / path, why)
        if outcome.undecided:
            some = ", ".join(outcome.undecided[:10]) + (", …" if outcome.undecided[10:] else "")
            logger.warning(
                "%d pictures are left whose source states neither artist nor tags: look at them, and take them down by "
                "--sha256 if they are of %s: %s",
                len(outcome.undecided),
                self._text,
                some,
            )
        for name, words in outcome.datasets.items():
            logger.info("datasets/%s: %s", name, words)
        for name in outcome.runs:
            logger.warning("runs/%s was trained on them: remove it, or train it again", name)
        for name in outcome.generated:
            logger.warning("datasets/%s has faces of a run that was trained on them: remove it, or build it anew", name)
        for name in outcome.unknown_runs:
            logger.warning("runs/%s was trained on a dataset that is gone: what was in it is not known", name)
