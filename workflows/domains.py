"""The real faces of the domains of a run that translates, and how they are looked at."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from workflows.base.dataset import Dataset

TRANSLATIONS = ("ugatit", "stargan2")  # models; the keys of models.translators.TRANSLATORS
HELD_OUT = ("val", "test")  # splits that no run was trained on


def read_faces(recorded: dict, data_root: Path, other: str = "", cure: str = "") -> Any:
    """Return a dataset that config.json records, or the one of another name. Raise UserError, with that cure if it was
    built again since."""
    from models.data.dataset import Dataset as Faces

    name = other or recorded["name"]
    wanted = Dataset(name=name, data_root=data_root)
    wanted.check()
    faces = Faces(wanted.folder, data_root / "cache")
    if not other and faces.digest != recorded["digest"]:
        problem, expected = "was built again since the run was trained", "the faces it was trained on"
        raise UserError(wanted.output().path, problem, expected, cure or "train it again")
    return faces


def datasets_of(settings: dict, data_root: Path) -> list[Any]:
    """Return the datasets of a run that translates, in the order of its domains. Raise UserError."""
    recorded = [settings["dataset"], *(settings.get("datasets") or {}).values()]
    return [read_faces(each, data_root) for each in recorded]


def rows_of_domains(settings: dict, datasets: Sequence[Any], split: str) -> list[tuple[Any, Any]]:
    """Return for each domain of a run its dataset and the rows (N,) of a split that are of it."""
    import numpy as np

    from models.data import references
    from models.runs.settings import config_from_json

    config: Any = config_from_json(settings["model"], settings["config"])
    if getattr(config, "domain_column", ""):
        (dataset,) = datasets
        return [(dataset, rows) for rows in references.rows_by_class(dataset, split, config)]
    return [(dataset, np.arange(len(dataset.split(split)))) for dataset in datasets]


def held_out_sources(settings: dict, data_root: Path, translator: Any, target: int, count: int) -> Any:
    """Return `count` held-out faces (N, S, S, 3) uint8, or as many as there are, of all domains but the target in
    turns. Raise UserError if there is none."""
    import numpy as np

    datasets, size = datasets_of(settings, data_root), settings["config"]["size"]
    by_split = {split: rows_of_domains(settings, datasets, split) for split in HELD_OUT}
    found = []
    for k in range(len(translator.domains)):
        of_domain = {split: domains[k] for split, domains in by_split.items()}
        parts = [dataset.pixels(split, size)[rows[:count]] for split, (dataset, rows) in of_domain.items()]
        faces = np.concatenate(parts)[:count]
        found.append(translator.shown(faces, k) if len(faces) else faces)
    others = [faces for k, faces in enumerate(found) if k != target]
    turns = [faces[row] for row in range(count) for faces in others if row < len(faces)]
    if not turns:
        problem, expected = "no face of another domain in split val and test", "one or more"
        raise UserError(datasets[0].folder, problem, expected, "train on a larger dataset")
    return np.stack(turns[:count])


def domains_of(settings: dict, datasets: Sequence[Any], translator: Any, device: Any) -> list[Any]:
    """Return the `translation_evaluation.Domain`s of a run. Raise UserError if one has too few faces."""
    by_split = {split: rows_of_domains(settings, datasets, split) for split in ("train", *HELD_OUT)}
    size = settings["config"]["size"]
    return [
        _domain(translator, k, {split: rows[k] for split, rows in by_split.items()}, size, device)
        for k in range(len(translator.domains))
    ]


def _domain(translator: Any, k: int, by_split: dict[str, tuple[Any, Any]], size: int, device: Any) -> Any:
    """Return domain number k of (dataset, rows (N,)) of each split, with faces of `size` px. Raise UserError."""
    import numpy as np
    import torch

    from models import evaluation, translation_evaluation
    from pipeline.faces.crop import Frame
    from pipeline.hair import tagging

    name, (dataset, _) = translator.domains[k], by_split["train"]

    def pictures(*splits: str) -> np.ndarray:
        found = np.concatenate([dataset.pixels(split, size)[by_split[split][1]] for split in splits])
        return translator.shown(found, k) if len(found) else found

    def features(split: str, extractor: evaluation.Extractor) -> torch.Tensor:
        rows = by_split[split][1]
        if translator.is_gray[k]:
            return evaluation.extract_features(pictures(split), extractor, device)
        return evaluation.cached_features(dataset, split, size, extractor, device, rows)

    @functools.cache
    def both_features(extractor: evaluation.Extractor) -> tuple[torch.Tensor, torch.Tensor]:
        return features("train", extractor), torch.cat([features(split, extractor) for split in HELD_OUT])

    frame = Frame(*(dataset.faces[column][0].as_py() for column in Frame._fields))
    find_eyes, hair = functools.partial(eyes, frame=frame), functools.partial(tagging.names, frame=frame)
    train, held_out = pictures("train"), pictures(*HELD_OUT)
    for splits, faces in (("train", train), (" and ".join(HELD_OUT), held_out)):
        if len(faces) < evaluation.MIN_SAMPLES:
            problem, expected = f"{len(faces)} faces of {name} in split {splits}", f"{evaluation.MIN_SAMPLES} or more"
            raise UserError(dataset.folder, problem, expected, "train on a larger dataset")
    return translation_evaluation.Domain(name, train, held_out, both_features, find_eyes, hair, translator.is_gray[k])


def eyes(pictures: Any, frame: Any) -> Any:
    """Return the middles (N, 2, 2), px, of the left and the right eye in crops (N, S, S, 3) uint8 that were cut with
    that frame; NaN where an eye is hidden."""
    import numpy as np

    from pipeline.faces import landmarks, upright
    from pipeline.faces.boxes import Face

    face = Face(frame.box(pictures.shape[1]), tilt=0.0, score=0.0)
    found = np.full((len(pictures), 2, 2), np.nan)
    for row, picture in enumerate(pictures):
        seen = upright.seen_eyes(landmarks.find(picture, [face])[0])
        for side, box in enumerate((seen.left_eye, seen.right_eye)):
            if box is not None:
                found[row, side] = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return found
