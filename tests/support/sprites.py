"""13 sprites of two visual novels (Expat licence), installed by package name, and where their faces are."""

import shutil
import subprocess
from pathlib import Path

PACKAGES = ("renpy-thequestion", "renpy-demo")
FACES = {
    "sylvie blue giggle.png": (82, 42, 234, 194),
    "sylvie blue normal.png": (78, 34, 240, 196),
    "sylvie blue smile.png": (80, 36, 238, 194),
    "sylvie blue surprised.png": (76, 36, 240, 200),
    "sylvie green giggle.png": (118, 50, 254, 186),
    "sylvie green normal.png": (112, 42, 262, 192),
    "sylvie green smile.png": (114, 44, 262, 192),
    "sylvie green surprised.png": (112, 44, 262, 194),
    "eileen concerned.png": (54, 82, 268, 296),
    "eileen happy.png": (54, 82, 268, 296),
    "eileen vhappy.png": (54, 82, 268, 296),
    "lucy happy.png": (130, 112, 296, 278),
    "lucy mad.png": (130, 138, 290, 298),
}
"""x0, y0, x1, y1 in px: the square that holds each face, mid-bangs to chin. All faces are upright."""

HAIR = {"eileen": {"pink"}, "lucy": {"black"}, "sylvie": {"brown", "blonde", "red"}}
"""The acceptable names of each one's hair, by the first word of the file's name."""


class Unavailable(Exception):
    """There are no Debian tools here, or the packages cannot be had."""


def fetch(place: Path) -> Path:
    """The folder below `place` that holds the sprites and nothing else. Raises Unavailable."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("no Debian tools here to fetch the sprites with")
    fetched = subprocess.run(["apt-get", "download", *PACKAGES], cwd=place, capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise Unavailable(f"the sprites' packages cannot be had here: {fetched.stderr.strip()[-200:]}")
    folder = place / "sprites"
    folder.mkdir()
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, place / "root"], check=True)
    for path in place.glob("root/**/*.png"):
        if path.name in FACES:
            shutil.copy(path, folder)
    assert len(list(folder.iterdir())) == len(FACES)
    return folder
