"""A bundle of your own: labelled files and a model to go on from in; a calibrated, evaluated bundle that the worker loads out.

    files ──► splits ──► before ──► run ──► bundle

Each stage keeps what it made in the folder, so a second call with the same files and options goes on where the first one stood.
What cannot work is refused before the first of them changes anything: between it and the last lie minutes or hours of training.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.agreement import check_int8
from training.calibrate import Temperature, warnings_of
from training.canaries import CANARIES
from training.data import Row, labels_by_kind
from training.evaluate import calibrate, linear_rows
from training.export import ExportConfig, check_export, export_bundle, unpack
from training.finetune import FinetuneConfig, check_labels, finetune
from training.labels import lacking_kinds
from training.locks import locked
from training.model import Columns
from training.prepare import Prepared, prepare
from training.progress import say, say_stage
from training.recipes.start import Start
from training.reviews.written import written_reviews
from training.runs import LENGTH, differences, model_files, read_json, stands, write_json, write_run
from training.scorer import open_bundle
from training.scores import evaluate_folder
from training.sets import split_by_kind
from training.splits import split_file, splits_stand, write_splits
from training.titles.labelled import as_rows, labelled_titles
from worker.classify.answers import Probabilities
from worker.classify.manifest import MANIFEST
from worker.errors import UsageError

STAGE = "bundle"
SPLITS, BASE, BEFORE, RUN = "splits", "base", "before.json", "run"
BUNDLE, UNFINISHED = "bundle", "bundle.part"
"""What the folder holds, beside its ``run.json``."""

FEW_ROWS, TOKENS, TOKENS_OF_FEW = 2_000, 2_048, 512
"""Below so many rows a batch has fewer padded tokens: else a few hundred short reviews are three steps an epoch."""

FEWEST = 10
"""Rows of a kind in validation and in test: from fewer, neither a temperature nor a score says anything."""

BY_HAND: Mapping[str, tuple[str, Callable[[], list[Row]]]] = {
    "title": ("titles labelled by hand", lambda: as_rows(labelled_titles())),
    "review": ("written reviews of other trades", lambda: written_reviews("held_out")),
}
"""What the project has to score a kind by that your files lack. The shipped bundle never learned from these rows."""


@dataclass(frozen=True)
class OwnConfig:
    """How the bundle is made and what it is called."""

    finetune: FinetuneConfig
    name: str
    version: str
    validation_share: float
    """Of the rows, where none are given; so is ``test_share``."""
    test_share: float


def tokens_per_batch(rows: Sequence[Row]) -> int:
    """Padded tokens a batch for files of these rows."""
    return TOKENS if len(rows) >= FEW_ROWS else TOKENS_OF_FEW


def make_bundle(
    rows: Sequence[Row],
    start: Start,
    out: Path,
    config: OwnConfig,
    *,
    validation_rows: Sequence[Row] = (),
    test_rows: Sequence[Row] = (),
    inputs: Sequence[Path],
    meanings: Mapping[str, str],
) -> dict[str, Any]:
    """Make ``out/bundle`` and return its manifest, whose evaluation holds all scores. Blocks for the training; resumes after
    a kill.

    ``rows`` are split by the config's shares, but for the given validation and test rows; those without label are left out.
    ``inputs`` are the files that all came from, ``meanings`` what their labels were said to mean. Progress and warnings go to
    standard error.

    :raises UsageError: rows, base and config make no bundle that a worker serves, calibrated and scored; ``out`` holds what other
        files, another base or other options made; or another process writes there. Nothing in it was changed then.
    """
    prepared = prepare(
        _labelled(rows),
        validation_share=config.validation_share,
        test_share=config.test_share,
        seed=config.finetune.train.seed,
        test_rows=_labelled(test_rows),
        validation_rows=_labelled(validation_rows),
    )
    given = [*rows, *validation_rows, *test_rows]
    prepared.counts["unlabelled_dropped"] = len(given) - len(_labelled(given))
    if not prepared.splits["train"]:
        raise UsageError(
            "no row is left to train on: each stands in the validation or test files, too, or carries two labels",
            hint="give other files with --validation and --test, or add labelled rows",
        )
    columns = Columns(labels_by_kind(prepared.splits["train"], start.columns.labels))
    check_export(columns, _export_config(start, config), positions=start.positions)
    _check_splits(prepared.splits, columns)
    told = {"base": start.name, "config": config, "labels": meanings}
    files = [*inputs, *model_files(start.folder)]
    _is_begun(
        out, told, files
    )  # and once more below: nothing changes in a folder of something else, not even its lock
    with locked(out):
        if not _is_begun(out, told, files):
            write_run(out, stage=STAGE, options=told, inputs=files)
        return _make(prepared, columns, start, out, config)


def _make(prepared: Prepared, columns: Columns, start: Start, out: Path, config: OwnConfig) -> dict[str, Any]:
    _tell_splits(prepared)
    untouched = [kind for kind in start.columns.labels if kind not in _kinds(prepared.splits["train"])]
    say(lacking_kinds(columns.labels))
    for kind in untouched:
        say(
            f"warning: the files have no row of kind `{kind}`, which {start.name} answers too: what trains beneath moves these answers; "
            "the table at the end tells how far"
        )
    splits = _keep_splits(prepared, out)
    _score_before(prepared.splits, start, untouched, out)
    trained = _train(prepared.splits, splits, start, out, config.finetune)
    return _finish(trained, prepared, splits, start, untouched, out, config)


def _labelled(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.label is not None]


def _kinds(rows: Sequence[Row]) -> list[str]:
    return sorted({row.kind for row in rows})


def _check_splits(splits: Mapping[str, Sequence[Row]], columns: Columns) -> None:
    """Raise unless every kind can be learned, calibrated and scored.

    :raises UsageError: with what is lacking.
    """
    check_labels(splits["train"])
    for name in ("validation", "test"):
        if strange := sorted({*_kinds(splits[name])} - {*_kinds(splits["train"])}):
            raise UsageError(
                f"{name} has rows of kind {', '.join(strange)}, and train has none",
                hint="leave them out, or add labelled rows of that kind to the files",
            )
        for kind in _kinds(splits["train"]):
            own = [row for row in splits[name] if row.kind == kind]
            if len(own) < FEWEST:
                raise UsageError(
                    f"{name} has {len(own)} rows of kind `{kind}`, and below {FEWEST} neither a temperature nor a score says anything",
                    hint=f"raise --{name}-share, give ready rows with --{name}, or add labelled rows of that kind",
                )
            labels = {str(row.label) for row in own}
            if len(labels) < 2:
                raise UsageError(
                    f"all {name} rows of kind `{kind}` are {labels.pop()}",
                    hint=f"raise --{name}-share, give other rows with --{name}, or add rows with another label",
                )
            if unknown := sorted(labels - {*columns.labels.get(kind, ())}):
                raise UsageError(
                    f"{name} has rows of kind `{kind}` that are {', '.join(unknown)}, which nothing in train teaches",
                    hint="say what your labels mean with --label, or add such rows to the files",
                )


def _is_begun(out: Path, told: Mapping[str, Any], files: Sequence[Path]) -> bool:
    """Whether ``out`` holds a call with just these options and files.

    :raises UsageError: it holds another one, or something else.
    """
    if not (out / "run.json").is_file():
        if found := [
            name for name in (SPLITS, BASE, BEFORE, RUN, BUNDLE, UNFINISHED) if (out / name).exists()
        ]:
            raise UsageError(
                f"{out} holds {', '.join(found)} that `tagline train bundle` did not make",
                hint="give a new --out folder",
            )
        return False
    if read_json(out / "run.json").get("stage") != STAGE:
        raise UsageError(f"{out} is the folder of another command's run", hint="give a new --out folder")
    if different := differences(out, told, inputs=files):
        raise UsageError(
            f"{out} holds a bundle, or the beginning of one, that differs in {', '.join(different)}",
            hint="give a new --out folder, or repeat the options and files to go on",
        )
    return True


def _keep_splits(prepared: Prepared, out: Path) -> Path:
    splits = out / SPLITS
    if not splits_stand(splits, prepared.splits, made_from="the files and this version give"):
        write_splits(splits, prepared)
    return splits


def _score_before(
    splits: Mapping[str, Sequence[Row]], start: Start, untouched: Sequence[str], out: Path
) -> None:
    """Note what the bundle stands beside: ``linear`` (accuracy by test set), and scores of the base: ``sets``, ``by_hand``.

    Before the training, so that what keeps them from being scored does so now.
    """
    path = out / BEFORE
    if not path.is_file():
        tests = _tests(splits)
        base = "the base and " if start.columns.labels else ""
        say_stage(f"scoring {base}TF-IDF + logistic regression on the test rows")
        scored = start.scores(tests | _rows_by_hand(start, untouched))
        write_json(
            path,
            {
                "linear": linear_rows(splits["train"], tests),
                "sets": {name: row for name, row in scored.items() if name in tests},
                "by_hand": {name: row for name, row in scored.items() if name not in tests},
            },
        )


def _validation(splits: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """By kind, as the run tells of each step."""
    return {
        kind: [row for row in splits["validation"] if row.kind == kind]
        for kind in _kinds(splits["validation"])
    }


def _tests(splits: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    return split_by_kind({"test": splits["test"]})


def _rows_by_hand(start: Start, kinds: Sequence[str]) -> dict[str, list[Row]]:
    """The project's rows of these kinds, as sets by what they are, without those whose label the base lacks."""
    sets = {}
    for kind in kinds:
        name, rows = BY_HAND[kind]
        labels = start.columns.labels_of(kind)
        sets[name] = [replace(row, category="") for row in rows() if row.label in labels]
    return sets


def _train(
    rows: Mapping[str, Sequence[Row]], splits: Path, start: Start, out: Path, config: FinetuneConfig
) -> Path:
    base = start.folder
    if start.bundle:
        base = out / BASE
        if not (base / LENGTH).is_file():
            unpack(start.bundle, base)
    run, files = out / RUN, [split_file(splits, name) for name in ("train", "validation")]
    if not stands(run, {"config": config, "rows": len(rows["train"])}, inputs=[*files, *model_files(base)]):
        say_stage(f"fine-tuning {start.name} on {len(rows['train'])} rows; validation chooses the step")
        sets = _validation(rows)
        finetune(str(base), rows["train"], sets, run, config, inputs=files)
    return run / "model"


def _finish(
    trained: Path,
    prepared: Prepared,
    splits: Path,
    start: Start,
    untouched: Sequence[str],
    out: Path,
    config: OwnConfig,
) -> dict[str, Any]:
    """Calibrate, score, see what int8 changes, export with all that, and look whether the worker's engine loads it; under
    another name, so that who finds a bundle finds a whole one.
    """
    bundle, part = out / BUNDLE, out / UNFINISHED
    files = [*(split_file(splits, name) for name in ("validation", "test")), *model_files(trained)]
    told = {"base": start.name, "config": config}
    if not (bundle / "run.json").is_file() or differences(bundle, told, inputs=files):
        say_stage("calibrating, exporting, and scoring through the worker's engine")
        shutil.rmtree(part, ignore_errors=True)
        validation = _validation(prepared.splits)
        found = calibrate(trained, validation, max_tokens=config.finetune.max_tokens)
        for warning in warnings_of(found.temperatures):
            say(warning)
        export = _export_config(start, config, found.temperatures)
        # Exported twice: the scores must come from the stored int8 weights, and the manifest must hold the scores.
        export_bundle(trained, part, export)
        evaluation = _evaluation(part, prepared, start, untouched, out)
        export_bundle(
            trained,
            part,
            replace(export, canaries=_answered(part), int8=check_int8(part, validation)),
            evaluation=evaluation,
            origin=_origin(evaluation, out),
        )
        write_run(part, stage="export", options=told, inputs=files)
        shutil.rmtree(bundle, ignore_errors=True)
        part.rename(bundle)
    open_bundle(bundle)
    return dict(read_json(bundle / MANIFEST))


def _export_config(
    start: Start, config: OwnConfig, temperatures: Mapping[str, Temperature] | None = None
) -> ExportConfig:
    """A kind without validation rows, which then has none to train on either, keeps the temperatures of the base bundle."""
    return ExportConfig(
        name=config.name,
        version=config.version,
        max_tokens=config.finetune.max_tokens,
        temperatures={
            kind: Temperature(entry["temperature"], entry.get("temperature_han"))
            for kind, entry in start.kinds.items()
        }
        | {**(temperatures or {})},
        neutral_shares={
            kind: entry["neutral_share"] for kind, entry in start.kinds.items() if "neutral_share" in entry
        },
        licence="unspecified",
        canaries=(),
    )


def _evaluation(
    bundle: Path, prepared: Prepared, start: Start, untouched: Sequence[str], out: Path
) -> dict[str, Any]:
    """Scores on the test rows (``sets``) and the project's of untouched kinds (``by_hand``), the base's, and sizes of splits."""
    tests, others = _tests(prepared.splits), _rows_by_hand(start, untouched)
    scores = evaluate_folder(bundle, tests | others, max_tokens=start.max_tokens)
    before = read_json(out / BEFORE)
    return {
        "sets": {name: scores[name] | {"linear": before["linear"][name]} for name in tests},
        "by_hand": {name: scores[name] for name in others},
        "base": {"name": start.name, "sets": before["sets"], "by_hand": before["by_hand"]},
        "split_counts": prepared.counts,
    }


def _answered(bundle: Path) -> list[tuple[str, str, str]]:
    """The project's canaries that the bundle answers right; a worker will ask for the same answers. Tells of the others."""
    scorer = open_bundle(bundle)
    known = [canary for canary in CANARIES if canary[0] in scorer.labels]
    served = scorer.served([Row(text, None, kind) for kind, text, _ in known])
    right = [
        canary
        for canary, (negative, neutral, positive) in zip(known, served.tolist(), strict=True)
        if Probabilities(negative, neutral, positive, truncated=False).label == canary[2]
    ]
    for kind, text, expected in known:
        if (kind, text, expected) not in right:
            say(
                f"warning: the {kind} {text!r} of the project should be {expected}, and the bundle answers otherwise"
            )
    return right


def _origin(evaluation: Mapping[str, Any], out: Path) -> str:
    """What the card says of how the bundle was made."""
    counts, steps = evaluation["split_counts"], read_json(out / RUN / "before_after.json")["best_step"]
    made = (
        f"Made by `tagline train bundle` from {evaluation['base']['name']}: fine-tuned on {counts['train']} labelled texts "
        f"({steps} steps; chosen, and calibrated, on {counts['validation']} others)."
    )
    before = evaluation["base"]["by_hand"]
    moved = [
        f" Of {row['rows']} {name}, a kind that it was not trained on here, {100 * before[name]['accuracy']:.1f} % were answered right "
        f"by the base, and {100 * row['accuracy']:.1f} % are now."
        for name, row in evaluation["by_hand"].items()
    ]
    return made + "".join(moved)


def _tell_splits(prepared: Prepared) -> None:
    for name, rows in prepared.splits.items():
        counted = Counter((row.kind, str(row.label)) for row in rows)
        kinds = [
            f"{kind} "
            + ", ".join(f"{count} {label}" for (own, label), count in sorted(counted.items()) if own == kind)
            for kind in _kinds(rows)
        ]
        say(f"{name}: {len(rows)} rows ({'; '.join(kinds)})")
    dropped = {
        name: count for name, count in prepared.counts.items() if name not in prepared.splits and count
    }
    if dropped:
        say(", ".join(f"{name}: {count}" for name, count in dropped.items()))
