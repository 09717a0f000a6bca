"""The shipped bundle, stage by stage: data, vocabulary, teacher, student. Every stage is skipped when its result stands."""

from dataclasses import dataclass, field
from pathlib import Path

from training import model as models
from training.data import Row, read_rows, write_rows
from training.distil import DistilConfig, distil
from training.finetune import FinetuneConfig, finetune
from training.model import Columns, choose_pieces, prune_embeddings, prune_tokenizer
from training.recipes.shipped_data import prepare_shipped
from training.runs import write_json
from training.trainer import TrainConfig
from worker.classify.normalise import normalise

TEACHER = TrainConfig(epochs=2.0, lr=1e-4, seed=1, average_decay=0.995, evaluate_every_steps=400)
STUDENT = TrainConfig(epochs=3.0, lr=1.5e-4, seed=2, average_decay=0.995, evaluate_every_steps=800)

VALIDATION_LIMIT = 400
"""Rows of each validation set that are scored during training; the whole sets are for calibration."""


@dataclass(frozen=True)
class ShippedConfig:
    """Sizes and budgets of the stages."""

    pieces: int = 29_000
    teacher: FinetuneConfig = field(default_factory=lambda: FinetuneConfig(train=TEACHER, max_tokens=192))
    student: DistilConfig = field(
        default_factory=lambda: DistilConfig(
            finetune=FinetuneConfig(train=STUDENT, max_tokens=192, layers=(1, 3, 5, 7, 9, 11))
        )
    )


def stage_data(data: Path, out: Path) -> Path:
    """Splits as files under ``out/splits``, and their counts."""
    folder = out / "splits"
    if not (folder / "counts.json").is_file():
        prepared = prepare_shipped(data)
        for name, rows in prepared.splits.items():
            write_rows(folder / f"{name}.jsonl.gz", rows)
        write_json(folder / "counts.json", prepared.counts)
    return folder


def read_split(folder: Path, name: str) -> list[Row]:
    """One split that :func:`stage_data` wrote."""
    return read_rows(folder / f"{name}.jsonl.gz")


def validation_sets(folder: Path, limit: int | None = None) -> dict[str, list[Row]]:
    """All validation splits by name, the first ``limit`` rows of each."""
    names = sorted(path.name.removesuffix(".jsonl.gz") for path in folder.glob("validation_*.jsonl.gz"))
    return {name.removeprefix("validation_"): read_split(folder, name)[:limit] for name in names}


def stage_vocabulary(base: str, splits: Path, out: Path, pieces: int) -> Path:
    """The base checkpoint with its vocabulary cut to the pieces that the training texts use most (never test texts)."""
    folder = out / "base"
    if (folder / "columns.json").is_file():
        return folder
    files = models.base_files(base)
    tokenizer = models.load_tokenizer(files)
    rows = read_split(splits, "train") + read_split(splits, "unlabelled")
    kept = choose_pieces(tokenizer, (normalise(row.text).text for row in rows), pieces)
    columns = Columns({"review": ("negative", "positive"), "title": ("negative", "neutral", "positive")})
    model = models.build(str(files), columns)
    prune_embeddings(model, kept)
    models.save(model, prune_tokenizer(tokenizer, kept), columns, folder)
    return folder


def stage_quick(
    base: Path, splits: Path, out: Path, layers: tuple[int, ...], rows: int, minutes: float
) -> Path:
    """A first small model from a few thousand rows, to have something to serve while the real one trains."""
    folder = out / "quick"
    train = read_split(splits, "train")
    chosen = train[:: max(1, len(train) // rows)]
    config = FinetuneConfig(
        train=TrainConfig(epochs=1.0, budget_minutes=minutes, lr=2e-4, seed=3, evaluate_every_steps=10**6),
        layers=layers,
        max_tokens=128,
    )
    finetune(str(base), chosen, validation_sets(splits, VALIDATION_LIMIT), folder, config)
    return folder / "model"


def stage_teacher(base: Path, splits: Path, out: Path, config: FinetuneConfig) -> Path:
    """All layers, fine-tuned on every labelled training row."""
    folder = out / "teacher"
    if not (folder / "model" / "columns.json").is_file():
        finetune(
            str(base),
            read_split(splits, "train"),
            validation_sets(splits, VALIDATION_LIMIT),
            folder,
            config,
            inputs=[splits / "train.jsonl.gz"],
        )
    return folder / "model"


def stage_student(teacher: Path, splits: Path, out: Path, config: DistilConfig) -> Path:
    """Some of the teacher's layers, taught by the teacher on labelled and unlabelled text."""
    folder = out / "student"
    if not (folder / "model" / "columns.json").is_file():
        distil(
            teacher,
            read_split(splits, "train") + read_split(splits, "unlabelled"),
            validation_sets(splits, VALIDATION_LIMIT),
            folder,
            config,
            inputs=[splits / "train.jsonl.gz", splits / "unlabelled.jsonl.gz"],
        )
    return folder / "model"
