"""The Luigi tasks. Run one with `luigi --module workflows TASK`, or `python -m workflows TASK`.

Tasks hold parameters and dependencies. The work is done in `pipeline` and `models`, which they import when they run, so
that `--help` answers at once.
"""

from workflows.cli import import_path

if import_path.is_own_command():
    import_path.remove_current_folder()

from workflows.cli import process

if import_path.is_module_command():
    process.install_signal_handlers()

from workflows.cli import configuration  # isort: skip  (it checks luigi.cfg before Luigi is imported)

import luigi
from luigi.task_register import Register

from workflows import (
    animation,
    annotators,
    attributes,
    blink_dataset,
    blinks,
    comparison,
    demo,
    evaluation,
    face_dataset,
    generation,
    image_dataset,
    merge,
    onnx_export,
    picture_translation,
    recipes,
    review,
    superres,
    takedown,
    training,
    translation,
    upscaler_comparison,
    upscaling,
)
from workflows.cli import defaults, errors
from workflows.cli import help as help_texts

GROUPS = {
    "Build a dataset": (face_dataset, blink_dataset, image_dataset, merge),
    "Look through a dataset, share it, or remove from it": (review, recipes, takedown),
    "Train a GAN": (training, blinks, translation, superres),
    "Use and evaluate a trained GAN": (
        generation,
        attributes,
        evaluation,
        comparison,
        picture_translation,
        upscaling,
        upscaler_comparison,
        animation,
    ),
    "Put trained networks into a web page": (onnx_export, demo),
    "Retrain the networks that the pipeline ships": (annotators,),
}
"""The task modules, by the heading of `python -m workflows --help`."""

__all__ = help_texts.task_names()


def __getattr__(name: str) -> type[luigi.Task]:
    """Return the task of that name: `workflows.BuildFaceDataset`, `from workflows import BuildFaceDataset`."""
    if name in __all__:
        return Register.get_task_cls(name)
    raise AttributeError(f"module 'workflows' has no attribute {name!r}")


defaults.set_defaults()
if configuration.is_luigi_command():
    errors.install_error_reporter()
