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
TOLERANCE = 1e-7
"""Largest entry of the gradient (of the mean loss) at which the solver stops. With scikit-learn's own 1e-4 it stops long
before the least loss, somewhere that the last digits of the machine's sums decide."""
MOST_STEPS = 5_000


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
        from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        counter = CountVectorizer(analyzer="char", ngram_range=CHARACTER_NGRAMS, min_df=2)
        try:
            counts = counter.fit_transform([row.text for row in rows])
        except ValueError as error:
            raise UsageError(
                f"no linear model can be fitted to {len(rows)} texts that have no characters in common",
                hint="give the file that the model was trained on",
            ) from error
        names = counter.get_feature_names_out()
        # Of those that are as frequent as each other the vectoriser itself keeps what the machine's sorting leaves in front.
        chosen = np.sort(np.lexsort((names, -np.asarray(counts.sum(0)).ravel()))[:MAX_FEATURES])
        weights = TfidfTransformer(sublinear_tf=True)
        linear = LogisticRegression(C=4.0, tol=TOLERANCE, max_iter=MOST_STEPS)
        linear.fit(weights.fit_transform(counts[:, chosen]), [row.label for row in rows])
        counter = CountVectorizer(
            analyzer="char", ngram_range=CHARACTER_NGRAMS, vocabulary=names[chosen].tolist()
        )
        return cls(make_pipeline(counter, weights, linear))

    def accuracy(self, rows: Sequence[Row]) -> float:
        """Accuracy on labelled rows of one set, by the choice that a model is scored by (:func:`labels_of_set`)."""
        classes = [str(label) for label in self.pipeline.classes_]
        labels = labels_of_set(rows, classes)
        own = [classes.index(label) for label in labels]
        chosen = self.pipeline.predict_proba([row.text for row in rows])[:, own].argmax(-1)
        return float(np.mean([labels[index] == row.label for index, row in zip(chosen, rows, strict=True)]))
