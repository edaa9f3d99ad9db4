"""ExportONNX: trained networks as files for a web page."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows import shipped_graphs
from workflows.base.from_run import OfLabels

OF_DATASET = ("name", "digest", "size", "box_scale", "face_x", "face_y", "rotation")  # the last four: where a face lies


class ExportONNX(OfLabels):
    """The networks of a run as ONNX files, with model.json and golden files, in runs/NAME/onnx/; without --run those
    that come with the program, in generated/onnx/ below the data root."""

    run_name = luigi.Parameter(default="", description="name of the run; by default the networks that are shipped")

    shipped = "blink"

    @property
    def file(self) -> Path:
        from models.runs import model_json

        return (self.run_folder if self.run_name else self.generated) / "onnx" / model_json.NAME

    def digest_inputs(self) -> dict[str, object]:
        from models.runs import model_json, onnx_graph

        own = {"format": model_json.FORMAT, "version": onnx_graph.VERSION}
        if not self.run_name:
            return own | {"weights": {name: _sha256(path) for name, path in shipped_graphs.weights().items()}}
        measured = {name: _sha256(self.run_folder / f"{name}.json") for name in ("attributes", "evaluation")}
        return super().digest_inputs() | own | {"measured": measured}

    def complete(self) -> bool:
        from models.runs import model_json

        return super().complete() and model_json.is_whole(self.file.parent)

    def run(self) -> None:
        from models.runs import onnx_graph

        onnx_graph.check_packages()
        super().run()

    def suits(self, network: Any) -> bool:
        return True

    def make(self, network: Any, about: dict) -> None:
        from models.runs import model_json

        if self.run_name:
            graphs, facts = self._graphs(network), self._describe(network)
        else:
            graphs, facts = shipped_graphs.graphs(), {"model": "shipped", "licenses": [shipped_graphs.LICENSE]}
        model_json.write_folder(self.file.parent, graphs, about | facts)

    @functools.cached_property
    def _about(self) -> dict[str, Any]:
        """Return what the weights' file says of them."""
        from models.runs import export

        return export.read_about(self.run_folder)

    @property
    def _config(self) -> Any:
        from models.runs.settings import config_from_json

        return config_from_json(self._about["model"], self._about["config"])

    @property
    def _model(self) -> Any:
        from models.zoo import MODELS

        return MODELS[self._about["model"]]

    def _graphs(self, network: Any) -> dict[str, Any]:
        """Return the graphs of the run's networks, by name; `network` is the main one."""
        from models.runs import export, onnx_networks

        main, *others = self._model.exported
        networks = {main: network} | {name: export.load_network(self.run_folder, name) for name in others}
        return {name: onnx_networks.graph_of(each, self._config.size) for name, each in networks.items()}

    def _describe(self, network: Any) -> dict[str, Any]:
        """Return what model.json says of the run."""
        from models.runs import model_json

        saved = self.saved_settings
        facts: dict[str, Any] = {
            "model": self._about["model"],
            "preset": saved.get("preset"),
            "steps": self._about["steps"],
            "purpose": self._model.purpose.format(**vars(self._config)),
            "paper": self._model.paper,
            "datasets": {role: {key: each.get(key) for key in OF_DATASET} for role, each in self._recorded.items()},
            "licenses": self._licenses(),
        }
        if self.label_counts:
            facts["labels"] = model_json.describe_labels(self.run_folder, self.label_counts)
            facts["priors"] = model_json.describe_priors(self.typical_conditions(network.labels).numpy())
        if hasattr(network, "noise"):
            facts["attributes"] = model_json.describe_attributes(self.run_folder, network.latent)
        return facts | self._domains()

    @property
    def _recorded(self) -> dict[str, dict]:
        """Return the datasets that the run was trained on, by role, as config.json describes them."""
        saved = self.saved_settings
        return {self._model.roles[0]: saved["dataset"]} | (saved.get("datasets") or {})

    def _licenses(self) -> list[str | None]:
        """Return the licences of the pictures that the run was trained on; None stands for pictures without one, and
        for a dataset that is not there any more, or was built again."""
        found: set[str | None] = set()
        for recorded in self._recorded.values():
            folder = self.data_root / "datasets" / recorded["name"]
            try:
                dataset = self._model.dataset(folder, self.data_root / "cache")
            except UserError:
                dataset = None
            is_same = dataset is not None and dataset.digest == recorded["digest"]
            has_column = is_same and "license" in dataset.rows.column_names
            found |= set(dataset.rows["license"].to_pylist()) if has_column else {None}
        return sorted(found, key=lambda text: (text is None, text))

    def _domains(self) -> dict[str, Any]:
        """Return the domains of a run that translates: their names, and whether their pictures are grey."""
        config = self._config
        names = getattr(config, "domains", None) or [each["name"] for each in self._recorded.values()]
        if len(names) < 2:
            return {}
        is_gray = getattr(config, "is_gray", (False,) * len(names))
        return {"domains": [{"name": name, "gray": gray} for name, gray in zip(names, is_gray, strict=True)]}


def _sha256(path: Path) -> str | None:
    """Return the sha256 of a file; None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
