import pytest

from training.data import Row
from training.prepare import LeakError, check_no_leak, deduplicate, prepare, take_share, text_key, without


def test_case_spacing_and_punctuation_do_not_make_another_text() -> None:
    assert text_key("Very GOOD, really!") == text_key("very good really")
    assert text_key("很好！！ 推荐") == text_key("很好，推荐。")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("good phone", "ｇｏｏｄ ｐｈｏｎｅ"),
        ("5kg大米", "5㎏大米"),
        ("good phone", "gооd phоne"),
        ("很好用", "很\u200b好用"),
        ("质量很好", "質量很好"),
    ],
)
def test_what_the_model_reads_alike_is_one_text(text: str, written: str) -> None:
    assert text_key(text) == text_key(written)
    with pytest.raises(LeakError):
        check_no_leak({"train": [Row(written)], "test": [Row(text)]})
    assert len(deduplicate([Row(text), Row(written)])[0]) == 1


def test_texts_of_punctuation_only_stay_apart() -> None:
    assert text_key("!!!") != text_key("???")


def test_copies_are_dropped_and_texts_with_two_labels_stand_nowhere() -> None:
    rows = [
        Row("很好", "positive"),
        Row("很好!", "positive"),
        Row("一般", "positive"),
        Row("一般。", "negative"),
    ]
    kept, copies, conflicts = deduplicate(rows)
    assert [row.text for row in kept] == ["很好"]
    assert (copies, conflicts) == (2, 1)


def test_the_same_text_as_a_title_and_as_a_review_is_no_conflict() -> None:
    kept, _, conflicts = deduplicate([Row("超值", "positive", "review"), Row("超值", "neutral", "title")])
    assert len(kept) == 2
    assert conflicts == 0


def test_a_text_that_is_a_title_and_a_review_goes_to_one_split() -> None:
    rows = [Row(f"text {n}", "positive", kind) for kind in ("review", "title") for n in range(40)]
    done = prepare(rows, validation_share=0.2, test_share=0.3, seed=1)
    assert sum(len(split) for split in done.splits.values()) == 80
    assert all(done.splits.values())


@pytest.mark.parametrize("order", [1, -1])
def test_a_labelled_row_stays_where_an_unlabelled_copy_stands(order: int) -> None:
    rows = [Row("很好", None), Row("很好!", "positive")][::order]
    assert deduplicate(rows) == ([Row("很好!", "positive")], 1, 0)


def test_a_text_shared_by_two_splits_is_an_error() -> None:
    with pytest.raises(LeakError, match="1 texts"):
        check_no_leak({"train": [Row("a b c")], "test": [Row("A, b; c!")]})


def test_copies_of_given_test_texts_leave_train_and_are_counted() -> None:
    rows = [Row(f"text {number}", "positive") for number in range(20)]
    done = prepare(rows, validation_share=0.2, test_share=0.0, seed=0, test_rows=[Row("TEXT 3!", "positive")])
    assert done.counts["dropped_as_held_out"] == 1
    assert "text 3" not in {row.text for row in done.splits["train"]}
    assert len(done.splits["train"]) + len(done.splits["validation"]) == 19


def test_a_share_is_taken_from_every_group_and_by_seed() -> None:
    rows = [Row(f"{label} {number}", label) for label in ("negative", "positive") for number in range(100)]
    taken, rest = take_share(rows, 20, seed=4)
    assert [row.label for row in taken].count("negative") == 10
    assert len(taken) + len(rest) == 200
    assert take_share(rows, 20, seed=4)[0] == taken
    assert take_share(rows, 20, seed=5)[0] != taken


def test_without_says_how_many_it_dropped() -> None:
    kept, dropped = without([Row("one"), Row("two")], [Row("ONE")])
    assert ([row.text for row in kept], dropped) == (["two"], 1)
