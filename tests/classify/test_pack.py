"""Texts side by side on one axis of tokens."""

from worker.classify.pack import ROW_FLOOR, ROW_STEP, Run, pack, padded_rows


def test_texts_stand_side_by_side_and_the_rest_is_filled_to_the_floor() -> None:
    packed = pack([[7, 8, 9], [4, 5], [1, 2], [6]])
    assert packed.ids.tolist() == [7, 8, 9, 4, 5, 1, 2, 6] + [0] * (ROW_FLOOR - 8)
    assert packed.positions.tolist() == [0, 1, 2, 0, 1, 0, 1, 0] + [0] * (ROW_FLOOR - 8)
    assert packed.first_rows.tolist() == [0, 3, 5, 7] + [0] * (ROW_FLOOR - 4)
    assert (packed.rows, packed.tokens, packed.texts) == (ROW_FLOOR, 8, 4)


def test_equal_lengths_that_stand_together_make_one_run() -> None:
    runs = pack([[7, 8, 9], [4, 5], [1, 2], [6]]).runs
    assert runs == (Run(0, 0, 1, 3), Run(3, 1, 2, 2), Run(7, 3, 1, 1))
    assert [run.last_row for run in runs] == [3, 7, 8]


def test_rows_grow_in_steps() -> None:
    assert padded_rows(1) == ROW_FLOOR
    assert padded_rows(ROW_FLOOR) == ROW_FLOOR
    assert padded_rows(ROW_FLOOR + 1) == ROW_FLOOR + ROW_STEP
