"""What anything must beat: the majority class, and logistic regression on TF-IDF character n-grams."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.data import Row
from training.sets import labels_of_set
from worker.errors import UsageError

CHARACTER_NGRAMS = (1, 3)
MAX_FEATURES = 200_000


def majority_accuracy(labels: Sequence[str]) -> float:
    """Share of the most frequent label."""
    return Counter(labels).most_common(1)[0][1] / len(labels) if labels else 0.0


@dataclass(frozen=True)
class LinearBaseline:
    """A fitted TF-IDF + logistic regression pipeline."""

    pipeline: Any

    @classmethod
    def fit(cls, rows: Sequence[Row]) -> "LinearBaseline":
        """Fit on labelled rows. Minutes for 100,000 reviews.

        :raises UsageError: no characters occur in two of the rows.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        pipeline = make_pipeline(
            TfidfVectorizer(
                analyzer="char",
                ngram_range=CHARACTER_NGRAMS,
                sublinear_tf=True,
                min_df=2,
                max_features=MAX_FEATURES,
            ),
            LogisticRegression(C=4.0, max_iter=300),
        )
        try:
            pipeline.fit([row.text for row in rows], [row.label for row in rows])
        except ValueError as error:
            raise UsageError(
                f"no linear model can be fitted to {len(rows)} texts that have no characters in common",
                hint="give the file that the model was trained on",
            ) from error
        return cls(pipeline)

    def accuracy(self, rows: Sequence[Row]) -> float:
        """Accuracy on labelled rows of one set, by the choice that a model is scored by (:func:`labels_of_set`)."""
        classes = [str(label) for label in self.pipeline.classes_]
        labels = labels_of_set(rows, classes)
        own = [classes.index(label) for label in labels]
        chosen = self.pipeline.predict_proba([row.text for row in rows])[:, own].argmax(-1)
        return float(np.mean([labels[index] == row.label for index, row in zip(chosen, rows, strict=True)]))
