"""The Luigi tasks. `luigi --module workflows X`, or `python -m workflows X`.

Tasks hold parameters and say what needs what; the work is done in `pipeline` and `models`, which they import when they
run: so `--help` answers at once.
"""

from workflows.cli import import_path

if import_path.is_own_command():
    import_path.forget_current_folder()

from workflows.cli import process

if import_path.is_module_command():
    process.heed_signals()

from workflows.cli import configuration  # the first checks luigi.cfg, before Luigi is imported
from workflows.cli import errors as console
from workflows.evaluation import EvaluateGAN
from workflows.face_dataset import (
    BuildFaceDataset,
    CropFaces,
    DetectFaces,
    GroupFaces,
    ScrapeImages,
    SelectFaces,
    TagHairColor,
)
from workflows.face_detector import DrawScenes, TrainFaceDetector
from workflows.generation import ApplyAttributes, GenerateFaces, InterpolateLatents, LearnAttributes, SweepHairColors
from workflows.hair_tagger import DrawHair, TrainHairTagger
from workflows.recipes import ExportRecipe, RebuildFaceDataset, RestoreImages, Takedown
from workflows.training import TrainACGAN, TrainDCGAN, TrainProjectionCGAN

console.set_defaults()
if configuration.is_luigi_command():
    console.install_error_reporter()

__all__ = [
    "ApplyAttributes",
    "BuildFaceDataset",
    "CropFaces",
    "DetectFaces",
    "DrawHair",
    "DrawScenes",
    "EvaluateGAN",
    "ExportRecipe",
    "GenerateFaces",
    "GroupFaces",
    "InterpolateLatents",
    "LearnAttributes",
    "RebuildFaceDataset",
    "RestoreImages",
    "ScrapeImages",
    "SelectFaces",
    "SweepHairColors",
    "TagHairColor",
    "Takedown",
    "TrainACGAN",
    "TrainDCGAN",
    "TrainFaceDetector",
    "TrainHairTagger",
    "TrainProjectionCGAN",
]
