import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UserError
from workflows.cli import hook


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site-packages folder of our own, and a `luigi` script that says what it was given."""
    monkeypatch.setattr(hook, "_file", lambda: tmp_path / "anime_face_gans_luigi.pth")
    for name in ("luigi", "other"):
        (tmp_path / name).write_text("import sys\nprint(sys.argv[1:])")
    return tmp_path


def printed(site: Path, program: str, *arguments: str) -> list[str]:
    """What the program is given, by a Python that reads the folder's .pth files as `site` does."""
    start = f"""
import site, sys, runpy
sys.argv = {[str(site / program), *arguments]!r}
site.addsitedir({str(site)!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-S", "-c", start], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return eval(done.stdout)


def test_the_bare_form_gets_our_module_and_nothing_else_does(site):
    hook.enable()
    assert printed(site, "luigi", "BuildFaceDataset", "--limit", "9") == [
        "--module",
        "workflows",
        "BuildFaceDataset",
        "--limit",
        "9",
    ]
    for program, *arguments in (
        ("luigi", "--module", "workflows", "BuildFaceDataset"),
        ("luigi", "BuildFaceDataset", "--module=elsewhere"),
        ("luigi", "SomebodyElsesTask"),
        ("luigi", "--help"),
        ("luigi",),
        ("other", "BuildFaceDataset"),
    ):
        assert printed(site, program, *arguments) == arguments


def test_off_leaves_no_trace_and_both_can_be_given_twice(site):
    before = sorted(site.iterdir())
    assert hook.enable().startswith("on:")
    assert hook.enable().startswith("on:")
    assert len(list(site.iterdir())) == len(before) + 1
    assert "removed" in hook.disable()
    assert "was not on" in hook.disable()
    assert sorted(site.iterdir()) == before
    assert printed(site, "luigi", "BuildFaceDataset") == ["BuildFaceDataset"]


def test_an_environment_that_cannot_be_written_is_reported(site, monkeypatch):
    monkeypatch.setattr(hook, "_file", lambda: site / "nowhere" / "x.pth")
    with pytest.raises(UserError, match="environment"):
        hook.enable()


def test_the_switch_names_its_values(site):
    done = subprocess.run(
        [sys.executable, "-m", "workflows", "hook", "maybe"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("error: hook: 'maybe'")
    assert "Traceback" not in done.stderr
