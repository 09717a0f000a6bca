"""A bundle as the shipped one, stage by stage: data, vocabulary, a teacher, its student, neutral's likelihood, titles,
calibration.

What takes hours, teacher and student, is skipped where it stands finished, and refused where it stands for other rows, sizes or
weights. The other stages take minutes and are made anew, so that none of them hides that what it was made from has changed.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from training import model as models
from training.agreement import check_int8
from training.canaries import CANARIES
from training.checkpoint import weights_digest
from training.data import Row
from training.distil import DistilConfig, distil
from training.evaluate import calibrate, linear_rows
from training.export import ExportConfig, export_bundle
from training.finetune import FinetuneConfig, finetune
from training.model import Columns, choose_pieces, prune_embeddings, prune_tokenizer
from training.prepare import without
from training.progress import say_stage
from training.recipes.shipped_data import SEED, prepare_shipped
from training.reviews import judged, written
from training.reviews.neutral import shift_neutral
from training.runs import model_files, read_json, stands, write_json
from training.scores import evaluate_folder
from training.splits import read_split, split_file, splits_stand, write_splits
from training.titles.refit import labelled_by_functions, refit_titles
from training.train_config import TrainConfig
from worker.classify.answers import LABELS
from worker.classify.normalise import normalise
from worker.errors import UsageError

TITLES_FOR_TEACHER = 3
"""The teacher sees every third title: tones are easy, and its time is better spent on reviews."""

TITLES_FOR_REFIT = 16_000
TITLE_COPIES = 1.0
"""Share of the training titles that also appear with a phrase written into them."""
TITLE_SEED = 5

ORIGIN = (
    "Made from intfloat/multilingual-e5-small (MIT), restored from a published 4-bit packing and cut to its Chinese and "
    "English pieces; the vocabulary was cut again here, by frequency in the training texts, and every second layer kept."
)

TEACHER = TrainConfig(epochs=1.2, lr=1e-4, seed=1, average_decay=0.998, evaluate_every_steps=500)
STUDENT = TrainConfig(epochs=2.0, lr=2e-4, seed=2, average_decay=0.998, evaluate_every_steps=500)

FITTED, SCORED = slice(0, None, 2), slice(1, None, 2)
"""The halves of the validation texts that were judged: neutral's likelihood is fitted to the one, the other is only scored."""

BASELINE = "baseline.json"
"""Beside the splits that it was fitted to."""

VALIDATION_LIMIT = 300
"""Rows of each validation set, drawn at random, that are scored during training; the whole sets are for calibration."""


@dataclass(frozen=True)
class BundleConfig:
    """What the exported bundle is called and must answer."""

    version: str = "1"
    canaries: tuple[tuple[str, str, str], ...] = CANARIES
    origin: str = ORIGIN
    """What its card says of how it was made."""


@dataclass(frozen=True)
class ShippedConfig:
    """Sizes and lengths of the stages, as the shipped bundle was made by them (docs/training.md)."""

    pieces: int = 29_000
    teacher: FinetuneConfig = field(default_factory=lambda: FinetuneConfig(train=TEACHER, max_tokens=192))
    student: DistilConfig = field(
        default_factory=lambda: DistilConfig(
            finetune=FinetuneConfig(
                train=STUDENT, max_tokens=192, layers=(1, 3, 5, 7, 9, 11), head_dropout=0.0
            ),
            trusted=(written.SOURCE, judged.SOURCE),
            hidden_epochs=1,
        )
    )
    copies: int = 2
    """How often each written review and each judged text comes in an epoch: they are few beside the public sets."""
    bundle: BundleConfig = field(default_factory=BundleConfig)

    def seeded(self, seed: int) -> "ShippedConfig":
        """The recipe with this seed for the teacher and the next one for the student; the shipped bundle has seed 1."""
        return self._trained(
            lambda train: replace(train, seed=seed), lambda train: replace(train, seed=seed + 1)
        )

    def rehearsed(self, share: float) -> "ShippedConfig":
        """The recipe with this share of its epochs, over 0 to 1, and a weight average that remembers the same share of the run.

        Below half of it no text is read twice, so the student is compared with the teacher's hidden states to its end. The
        bundle's card calls it a rehearsal.
        """
        if share == 1:
            return self

        def shorter(train: TrainConfig) -> TrainConfig:
            return replace(
                train, epochs=train.epochs * share, average_decay=train.average_decay ** (1 / share)
            )

        rehearsal = f"{self.bundle.origin} A rehearsal: {share:g} of the recipe's epochs."
        return replace(self._trained(shorter, shorter), bundle=replace(self.bundle, origin=rehearsal))

    def _trained(
        self, teacher: Callable[[TrainConfig], TrainConfig], student: Callable[[TrainConfig], TrainConfig]
    ) -> "ShippedConfig":
        taught = self.student.finetune
        return replace(
            self,
            teacher=replace(self.teacher, train=teacher(self.teacher.train)),
            student=replace(self.student, finetune=replace(taught, train=student(taught.train))),
        )


def stage_data(data: Path, out: Path) -> Path:
    """Splits as files under ``out/splits``, and their counts. Made anew even where they stand, a minute, to see that they
    are these.

    :raises UsageError: those that stand are others.
    """
    folder = out / "splits"
    prepared = prepare_shipped(data)
    if not splits_stand(
        folder, prepared.splits, made_from="the data, the project's reviews and this version give"
    ):
        (folder / BASELINE).unlink(missing_ok=True)  # what lies there was fitted to nobody knows which rows
        write_splits(folder, prepared)
    return folder


def validation_sets(folder: Path, limit: int | None = None) -> dict[str, list[Row]]:
    """All validation splits by name; of each ``limit`` rows at random, because they stand in the order of their sets."""
    names = sorted(path.name.removesuffix(".jsonl.gz") for path in folder.glob("validation_*.jsonl.gz"))
    sets = {name.removeprefix("validation_"): read_split(folder, name) for name in names}
    if limit is None:
        return sets
    return {
        name: random.Random(SEED).sample(rows, limit) if len(rows) > limit else rows
        for name, rows in sets.items()
    }


def stage_vocabulary(base: str, splits: Path, out: Path, pieces: int) -> Path:
    """The base checkpoint with its vocabulary cut to the pieces that the training texts use most (never test texts).

    Made anew even where it stands, a minute, to see that it is this one.

    :raises UsageError: the one that stands has other pieces or weights.
    """
    folder = out / "base"
    files = models.base_files(base)
    tokenizer = models.load_tokenizer(files)
    rows = _rows_of(splits, {**labelled_parts(copies=1), "unlabelled": 1})
    kept = choose_pieces(tokenizer, (normalise(row.text).text for row in rows), pieces)
    columns = Columns({"review": LABELS, "title": LABELS})
    model = models.build(str(files), columns)
    prune_embeddings(model, kept)
    pruned = prune_tokenizer(tokenizer, kept)
    if not (folder / models.COLUMNS).is_file():
        models.save(model, pruned, columns, folder)
        return folder
    standing, own_tokenizer, _ = models.load(folder)
    if own_tokenizer.to_str() != pruned.to_str() or weights_digest(standing) != weights_digest(model):
        raise UsageError(
            f"{folder} is another base, or has other pieces, than {base} cut to {pieces}",
            hint="give a new --out folder: what stands in this one was trained from that base",
        )
    return folder


def labelled_parts(copies: int) -> dict[str, int]:
    """The splits whose labels are learned from, and how often each comes in an epoch."""
    return {"train": 1, "written": copies, "judged": copies}


def stage_teacher(base: Path, splits: Path, folder: Path, config: FinetuneConfig, *, copies: int) -> Path:
    """All layers, fine-tuned on every labelled training row but two thirds of the titles.

    :raises UsageError: ``folder`` holds a run with another configuration, base or rows.
    """
    parts = labelled_parts(copies)
    every = _rows_of(splits, parts)
    titles = [row for row in every if row.kind == "title"]
    rows = [*(row for row in every if row.kind != "title"), *titles[::TITLES_FOR_TEACHER]]
    files = _files_of(splits, parts)
    trained_on = len(config.recipe.rows(rows, seed=config.train.seed))
    if not stands(folder, {"config": config, "rows": trained_on}, inputs=[*files, *model_files(base)]):
        finetune(str(base), rows, validation_sets(splits, VALIDATION_LIMIT), folder, config, inputs=files)
    return folder / "model"


def stage_student(teacher: Path, splits: Path, folder: Path, config: DistilConfig, *, copies: int) -> Path:
    """Some of the teacher's layers, taught by it on the labelled rows and on the unlabelled ones.

    :raises UsageError: ``folder`` holds a run with another configuration, teacher or rows.
    """
    parts = {**labelled_parts(copies), "unlabelled": 1}
    rows, files = _rows_of(splits, parts), _files_of(splits, parts)
    told = {"config": config, "rows": len(rows), "teachers": [weights_digest(models.load(teacher)[0])]}
    if not stands(folder, told, inputs=files):
        distil([teacher], rows, validation_sets(splits, VALIDATION_LIMIT), folder, config, inputs=files)
    return folder / "model"


def _rows_of(splits: Path, parts: Mapping[str, int]) -> list[Row]:
    return [row for name, copies in parts.items() for row in read_split(splits, name) * copies]


def _files_of(splits: Path, parts: Mapping[str, int]) -> list[Path]:
    return [split_file(splits, name) for name in parts]


def stage_titles(student: Path, splits: Path, out: Path, max_tokens: int) -> Path:
    """The student with its title columns fitted anew to titles with conditions and promotion written into them.

    The answers to reviews stay the same to the bit.
    """
    folder = out / "titles"
    titles = [row for row in read_split(splits, "train") if row.kind == "title"]
    rows = labelled_by_functions(titles, share=TITLE_COPIES, limit=TITLES_FOR_REFIT, seed=TITLE_SEED)
    held = [row for name in ("validation_title", "test_title") for row in read_split(splits, name)]
    refit_titles(student, without(rows, held)[0], folder, max_tokens=max_tokens)
    return folder


def stage_neutral(student: Path, splits: Path, out: Path, max_tokens: int) -> Path:
    """The student with neutral as likely among reviews as a reader found it in one half of the judged validation texts.

    The choice between negative and positive stays the same to the bit, and so does the temperature that fits it.
    """
    folder = out / "neutral"
    temperatures = calibrate(student, calibration_sets(splits), max_tokens=max_tokens).temperatures
    rows = read_split(splits, "validated")[FITTED]
    shift_neutral(student, rows, folder, temperature=temperatures["review"], max_tokens=max_tokens)
    return folder


def calibration_sets(splits: Path) -> dict[str, list[Row]]:
    """The validation sets but for the written reviews: half of these were written to be hard, so the doubt that is right
    there is too much for a shop's reviews. The judged texts that are scored are left out too.
    """
    scored = read_split(splits, "validated")[SCORED]
    return {
        name: without(rows, scored)[0] for name, rows in validation_sets(splits).items() if name != "written"
    }


def stage_bundle(
    trained: Path, splits: Path, out: Path, config: BundleConfig, *, max_tokens: int
) -> dict[str, Any]:
    """Calibrate on validation, score every test set once as the worker would, and write the bundle to ``out``.

    What int8 changes is measured on validation too, after the scores, which are those of float32 or bfloat16.
    """
    validation = calibration_sets(splits)
    found = calibrate(trained, validation, max_tokens=max_tokens)
    export = ExportConfig(
        name="tagline-zh-en-small",
        version=config.version,
        max_tokens=max_tokens,
        temperatures=found.temperatures,
        canaries=config.canaries,
    )
    # Exported twice: the scores must come from the stored int8 weights, and the manifest must hold the scores.
    export_bundle(trained, out, export)
    scores = evaluate_folder(out, test_sets(splits), max_tokens=max_tokens)
    linear = stage_baseline(splits)
    for name, row in scores.items():
        if name in linear:
            row["linear"] = linear[name]
    evaluation = {
        "sets": scores,
        "split_counts": read_json(splits / "counts.json"),
    }
    export = replace(export, int8=check_int8(out, validation))
    return export_bundle(trained, out, export, evaluation=evaluation, origin=config.origin)


def stage_baseline(splits: Path) -> dict[str, float]:
    """Accuracy of TF-IDF + logistic regression on every test set, trained on all labels that the model learned from.

    Kept beside the splits, which are compared with the data each time; nothing else decides it.
    """
    path = splits / BASELINE
    if not path.is_file():
        rows = _rows_of(splits, labelled_parts(copies=1))
        write_json(path, linear_rows(rows, test_sets(splits)))
    return dict(read_json(path))


def test_sets(splits: Path) -> dict[str, list[Row]]:
    """The test splits by name, and as sets of their own the clean rows of ChnSentiCorp, the written reviews with a verdict, and
    of the validation texts that a reader labelled the half that nothing was fitted to.
    """
    names = sorted(path.name.removesuffix(".jsonl.gz") for path in splits.glob("test_*.jsonl.gz"))
    sets = {name.removeprefix("test_"): read_split(splits, name) for name in names}
    clean = [replace(row, category="") for row in sets["chn"] if row.category == "clean"]
    polar = [row for row in sets["written"] if row.label != "neutral"]
    return {
        "chn_clean": clean,
        **sets,
        "written_polar": polar,
        "validated": read_split(splits, "validated")[SCORED],
    }


def reproduce(data: Path, base: str, out: Path, bundle: Path, config: ShippedConfig) -> dict[str, Any]:
    """Make a bundle as the shipped one is from the data folder and the base checkpoint. Hours on a CPU; resumes after a kill, and
    tells on standard error what it is at.

    :raises UsageError: ``out`` holds stages of other data, another base or another configuration.
    """
    say_stage("data: the public sets, split, and no copy of a test text in training")
    splits = stage_data(data, out)
    say_stage(f"vocabulary: {base} cut to {config.pieces} pieces")
    pruned = stage_vocabulary(base, splits, out, config.pieces)
    say_stage("teacher: every layer, on the labelled rows")
    teacher = stage_teacher(pruned, splits, out / "teacher", config.teacher, copies=config.copies)
    say_stage("student: some of the layers, on the same rows and the unlabelled ones")
    student = stage_student(teacher, splits, out / "student", config.student, copies=config.copies)
    max_tokens = config.student.finetune.max_tokens
    say_stage("neutral and titles: their columns fitted anew")
    fitted = stage_titles(stage_neutral(student, splits, out, max_tokens), splits, out, max_tokens)
    say_stage("bundle: calibrated, exported, and scored through the worker's engine")
    return stage_bundle(fitted, splits, bundle, config.bundle, max_tokens=max_tokens)
