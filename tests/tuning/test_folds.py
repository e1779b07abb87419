"""Folds: every case is tested once, and no subject lies on both sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.folds import folds_text, make_folds, parse_folds

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
studies = st.lists(names, min_size=2, max_size=40).filter(lambda subjects: len(set(subjects)) >= 2)


@given(subjects=studies, seed=st.integers(0, 2**31), data=st.data())
def test_folds_cover_every_case_once_and_never_share_a_subject(subjects, seed, data):
    k = data.draw(st.integers(2, len(set(subjects))))
    folds = make_folds(subjects, k, seed)
    assert len(folds) == k
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(subjects)))
    for fold in folds:
        assert fold.test.size > 0
        assert not {subjects[i] for i in fold.train} & {subjects[i] for i in fold.test}
        assert sorted([*fold.train, *fold.test]) == list(range(len(subjects)))


@given(subjects=studies, seed=st.integers(0, 2**31))
def test_as_many_folds_as_subjects_leaves_one_subject_out(subjects, seed):
    folds = make_folds(subjects, len(set(subjects)), seed)
    assert all(len({subjects[i] for i in fold.test}) == 1 for fold in folds)


@given(subjects=studies, seed=st.integers(0, 2**31), data=st.data())
def test_a_subject_keeps_its_fold_whatever_the_order_of_the_cases(subjects, seed, data):
    shuffled = data.draw(st.permutations(subjects))
    assert folds_text(subjects, make_folds(subjects, 2, seed)) == folds_text(shuffled, make_folds(shuffled, 2, seed))


@given(subjects=studies, seed=st.integers(0, 2**31))
def test_written_folds_read_back_equal(subjects, seed):
    folds = make_folds(subjects, 2, seed)
    for ours, read in zip(folds, parse_folds(folds_text(subjects, folds), subjects), strict=True):
        np.testing.assert_array_equal(ours.train, read.train)
        np.testing.assert_array_equal(ours.test, read.test)


def test_the_seed_decides_the_folds():
    subjects = [f"s{i}" for i in range(20)]
    assert folds_text(subjects, make_folds(subjects, 4, 1)) == folds_text(subjects, make_folds(subjects, 4, 1))
    assert folds_text(subjects, make_folds(subjects, 4, 1)) != folds_text(subjects, make_folds(subjects, 4, 2))


def test_folds_hold_nearly_equal_numbers_of_cases():
    subjects = [f"s{i}" for i in range(132) for _ in range(2)]
    assert [fold.test.size for fold in make_folds(subjects, 3, 1)] == [88, 88, 88]


def test_fewer_subjects_than_folds_is_one_clear_line():
    with pytest.raises(ValueError, match=r"has 2 subject\(s\), fewer than the 3 folds.*at most 2") as caught:
        make_folds(["a", "a", "b"], 3, 1)
    assert "\n" not in str(caught.value)


def test_folds_of_another_study_are_refused():
    text = folds_text(["a", "b"], make_folds(["a", "b"], 2, 1))
    with pytest.raises(ValueError, match="another study"):
        parse_folds(text, ["a", "b", "c"])
    with pytest.raises(ValueError, match="first line"):
        parse_folds("subject\na\n", ["a"])
    with pytest.raises(ValueError, match="twice"):
        parse_folds(text + "1,a\n", ["a", "b"])
