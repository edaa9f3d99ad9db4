"""Pictures that a user gives, translated with a trained run."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import luigi

from pipeline.errors import UserError
from workflows.base.from_pictures import FromPictures, LeftOut, Make, Picture, decode_picture, digest_of, read_picture
from workflows.cli.parameters import WholeNumber
from workflows.domains import TRANSLATIONS

DIRECTIONS = ("a2b", "b2a")

Translate = Callable[[Any], tuple[Any, Any, Any]]
"""Crops (N, S, S, 3) uint8 -> (the crops as the networks are shown them; their translations; heat maps (N, h, w) of
where the network looked, or None)."""


class Plan(NamedTuple):
    """What a run is asked for. Domains are numbers."""

    source: int
    target: int
    datasets: tuple[dict, ...]  # of each domain, as config.json describes it
    network: str  # that is used beside the main one, or in its place; empty: none


class TranslateImages(FromPictures):
    """The faces of pictures, translated with a run of TrainUGATIT (--direction) or TrainStarGAN2 (--domain).

    Faces are found and cut as those of the run's datasets were. They are written to generated/translated-…/ in the
    run's folder, with one JSON file that lists them."""

    direction = luigi.Parameter(default="", description="of a run of TrainUGATIT: a2b or b2a")
    domain = luigi.Parameter(default="", description="of a run of TrainStarGAN2: the domain to translate to, by name")
    source_domain = luigi.Parameter(
        default="", description="domain that the pictures are of; by default the first one that is not --domain"
    )
    reference = luigi.Parameter(default="", description="picture whose first face gives the style; else --seed does")
    seed = WholeNumber(default=0, description="seed of the style")
    count = WholeNumber(default=0, description="number of pictures of a folder or dataset; 0: all")
    beside = luigi.BoolParameter(default=False, description="write each face beside its translation, too")
    heat = luigi.BoolParameter(
        default=False,
        description="write maps of where the network looked, too: blue little, red much; with --direction",
    )
    paste = luigi.BoolParameter(
        default=False, description="write the whole pictures too, with the translated faces put back into them"
    )
    device = luigi.Parameter(
        default="auto", significant=False, description="cpu, cuda or cuda:N; auto: a GPU if there is one"
    )

    wanted = "a run of TrainUGATIT or TrainStarGAN2"
    made_key = "translated"
    last_ending = "-face.png"
    made_of = "a picture with a face, or a folder of them"

    @property
    def folder(self) -> Path:
        """Return the folder of the translated pictures."""
        return self._place if self.input_path.is_file() else self._place / self.input_name

    @property
    def _place(self) -> Path:
        style = Path(self.reference).name or (f"seed{self.seed}" if self.domain else "")
        names = (self.direction, self.domain, self.source_domain and f"from-{self.source_domain}", style)
        return self.generated_file("translated", *names).with_suffix("")

    @property
    def file(self) -> Path:
        return self._place / f"{self.input_name}.json"

    def suits(self, network: Any) -> bool:
        return self.settings["model"] in TRANSLATIONS

    def digest_inputs(self) -> dict[str, object]:
        from models.runs import export

        plan = self._plan
        own: dict[str, object] = {name: getattr(self, name) for name in ("count", "beside", "heat", "paste")}
        own |= {name: value for name in ("direction", "domain") if (value := getattr(self, name))}
        if self.domain:
            own["source_domain"] = self._config.domains[plan.source]
            expected = "a picture with a face"
            style = digest_of("--reference", self.reference, expected) if self.reference else self.seed
            own["reference" if self.reference else "seed"] = style
        if plan.network:
            own[plan.network] = export.weights_sha256(self.run_folder, plan.network)
        own["detectors"] = [cutting.found_by for cutting in self._cuttings]
        return super().digest_inputs() | own

    @functools.cached_property
    def _config(self) -> Any:
        from models.runs import settings

        return settings.config_from_json(self.settings["model"], self.settings["config"])

    @functools.cached_property
    def _plan(self) -> Plan:
        """Return what is asked for. Raise UserError unless the run can do it."""
        if self.settings["model"] not in TRANSLATIONS:
            raise UserError(self.run_folder, "holds another network", self.wanted, "give another --run")
        return self._plan_of_direction() if self.settings["model"] == "ugatit" else self._plan_of_domain()

    def _plan_of_direction(self) -> Plan:
        found = f"{self.settings['dataset']['name']} and {self.settings['datasets']['b']['name']}"
        self._refuse(
            ("domain", "source_domain", "reference", "seed"),
            f"a run of TrainUGATIT, between {found}, has no domains and styles",
            f"--direction {' or '.join(DIRECTIONS)}",
        )
        if self.direction not in DIRECTIONS:
            given = f"{self.direction[:40]} given" if self.direction else "not given"
            expected = f"one of {' '.join(DIRECTIONS)}: a is {self.settings['dataset']['name']}"
            raise UserError("--direction", given, expected, f"see python -m workflows {self.task_family} --help")
        datasets = (self.settings["dataset"], self.settings["datasets"]["b"])
        is_back = self.direction == "b2a"
        return Plan(int(is_back), int(not is_back), datasets, "b2a" if is_back else "")

    def _plan_of_domain(self) -> Plan:
        domains = self._config.domains
        listed = " ".join(domains)[:400]
        problem = "a run of TrainStarGAN2 has no directions and maps"
        self._refuse(("direction", "heat"), problem, f"--domain, one of {listed}")
        others = [name for name in domains if name != self.domain]
        for option, name, names in (
            ("--domain", self.domain, domains),
            ("--source-domain", self.source_domain or others[0], domains),
        ):
            if name not in names:
                given = f"{name[:40]} given" if name else "not given"
                raise UserError(option, given, f"one of the run's domains: {listed}", "give one")
        if self.reference and self.seed:
            raise UserError("--seed", f"{self.seed} given with --reference", "one of both", "leave one out")
        own = self.settings["dataset"]
        datasets = {own["name"]: own} | (self.settings.get("datasets") or {})
        source, target = (domains.index(name) for name in (self.source_domain or others[0], self.domain))
        network = "style_encoder" if self.reference else "mapping"
        return Plan(source, target, tuple(datasets.get(name, own) for name in domains), network)

    def _refuse(self, names: tuple[str, ...], problem: str, expected: str) -> None:
        """Raise UserError if one of these options is given."""
        for name in names:
            if value := getattr(self, name):
                option, given = f"--{name.replace('_', '-')}", "given" if value is True else f"{str(value)[:100]} given"
                raise UserError(option, f"{given}, but {problem}"[:300], expected, "leave it out")

    @functools.cached_property
    def _cuttings(self) -> tuple[Any, ...]:
        """Return how faces are found and cut: of the pictures, then of the reference if there is one. Raise
        UserError."""
        from pipeline.datasets.cutting import cutting_of

        domains = [self._plan.source] + [self._plan.target] * bool(self.reference)
        facts = [self._plan.datasets[domain] for domain in domains]
        return tuple(cutting_of(self.data_root / "datasets" / each["name"], each) for each in facts)

    def prepare(self, network: Any) -> Make:
        """Return what writes the translated faces of a picture. Raise UserError."""
        return functools.partial(self._translate, self._load())

    def _load(self) -> Translate:
        """Return what is asked for. Raise UserError."""
        from models import translators
        from models.runs import settings

        device, plan = settings.resolve_device(self.device), self._plan
        if self.direction:
            pair = translators.PairTranslator(self.run_folder, device)
            return lambda crops: (crops, *pair.with_heat(crops, plan.target))
        styled = translators.StyleTranslator(self.run_folder, device)
        if self.reference:
            style = styled.read_styles(self._reference_face()[None], plan.target)[0]
        else:
            style = styled.drawn_style(self.seed, plan.target)

        def translate(crops: Any) -> tuple[Any, Any, None]:
            seen = styled.shown(crops, plan.source)
            return seen, styled.paint(seen, plan.target, style.expand(len(seen), -1)), None

        return translate

    def _reference_face(self) -> Any:
        """Return the (S, S, 3) crop of the reference's best face, as those of its domain. Raise UserError."""
        from pipeline.images.decode import on_white

        expected, cure = "a picture with a face", "give another"
        try:
            picture = on_white(decode_picture(read_picture(Path(self.reference).expanduser())))
        except LeftOut as reason:
            raise UserError("--reference", f"{self.reference}: {reason}", expected, cure) from reason
        cutting = self._cuttings[1]
        faces = cutting.find(picture)
        if not faces:
            raise UserError("--reference", f"{self.reference}: no face was found in it", expected, cure)
        return cutting.cut(picture, faces[0], self._config.size)

    def _translate(self, translate: Translate, source: Picture, given: Any, about: dict) -> dict:
        """Write what is made of a picture. Return its files and its faces. Raise LeftOut."""
        import numpy as np

        from models.sampling import heat, pasting, save
        from pipeline.images.decode import on_white

        picture, cutting, size = on_white(given), self._cuttings[0], self._config.size
        faces = _faces_of(source, picture, cutting)
        if not faces:
            raise LeftOut("no face was found in it")
        seen, painted, heats = translate(np.stack([cutting.cut(picture, face, size) for face in faces]))
        outputs: dict[str, Any] = {}  # by what follows the target: a word after the only dash, so that no names collide
        whole = given
        for number, (face, before, after) in enumerate(zip(faces, seen, painted, strict=True)):
            nth = str(number + 1) if number else ""
            outputs[f"-face{nth}.png"] = after
            maps = [heat.overlay(before, heats[number])] if self.heat else []
            for pixels in maps:
                outputs[f"-heat{nth}.png"] = pixels
            if self.beside:
                outputs[f"-beside{nth}.png"] = np.concatenate([before, *maps, after], axis=1)
            if self.paste:
                whole = pasting.paste(whole, after, cutting.view(face, size))
        if self.paste:
            outputs["-pasted.png"] = whole
        files = [f"{source.target}{ending}" for ending in outputs]
        made = {"files": files, "faces": [face._asdict() for face in faces]}
        for name, pixels in [*zip(files, outputs.values(), strict=True)][::-1]:  # the first face's is last
            save.save_png(self.folder / name, pixels, **about, made=json.dumps(made))
        return made


def _faces_of(source: Picture, picture: Any, cutting: Any) -> list[Any]:
    """Return the faces of a picture, or the one that it is a crop round."""
    from pipeline.faces.boxes import Face

    if source.frame is None:
        return cutting.find(picture)
    return [Face(source.frame.box(len(picture)), source.tilt, 1.0)]
