"""Folds: every case is tested once, and no subject lies on both sides."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.folds import count_folds, folds_text, inner_folds, make_folds, parse_folds, read_folds, traits_of

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


def people(subjects, fold):
    return {subjects[i] for i in fold.test}


@given(subjects=studies, seed=st.integers(0, 2**31), data=st.data())
def test_subjects_of_each_stratum_are_spread_evenly(subjects, seed, data):
    attributes = {name: {"sex": data.draw(st.sampled_from("fm"))} for name in sorted(set(subjects))}
    traits = traits_of(attributes)
    k = data.draw(st.integers(2, len(attributes)))
    folds = make_folds(subjects, k, seed, traits)
    for trait in {trait for own in traits.values() for trait in own}:
        counts = [sum(trait in traits[name] for name in people(subjects, fold)) for fold in folds]
        assert max(counts) - min(counts) <= 1


@given(subjects=studies, seed=st.integers(0, 2**31), data=st.data())
def test_strata_do_not_depend_on_the_order_of_cases_or_subjects(subjects, seed, data):
    attributes = {name: {"sex": data.draw(st.sampled_from("fm")), "age": str(len(name))} for name in set(subjects)}
    shuffled = data.draw(st.permutations(subjects))
    turned = dict(reversed(attributes.items()))
    ours, theirs = (
        make_folds(subjects, 2, seed, traits_of(attributes)),
        make_folds(shuffled, 2, seed, traits_of(turned)),
    )
    assert folds_text(subjects, ours) == folds_text(shuffled, theirs)


def test_a_study_like_the_papers_has_women_and_old_people_in_every_fold():
    rng = np.random.default_rng(1)
    attributes = {f"s{i:02d}": {"sex": "f" if i < 14 else "m", "age": f"{rng.uniform(20, 90):.1f}"} for i in range(20)}
    subjects = sorted(attributes)
    traits = traits_of(attributes)
    assert Counter(trait for own in traits.values() for trait in own) == {
        "sex=f": 14, "sex=m": 6, "age=low": 10, "age=high": 10,
    }  # fmt: skip
    for seed in range(20):
        for fold in make_folds(subjects, 4, seed, traits):
            counts = Counter(trait for name in people(subjects, fold) for trait in traits[name])
            assert 3 <= counts["sex=f"] <= 4 and 1 <= counts["sex=m"] <= 2 and 1 <= counts["age=high"] <= 4, seed


def test_names_and_equal_values_are_no_traits():
    attributes = {f"s{i}": {"name": f"person {i}", "site": "here", "grade": str(i % 2)} for i in range(6)}
    assert traits_of(attributes) == {name: {f"grade={known['grade']}"} for name, known in attributes.items()}
    assert traits_of({}) == {}


@given(subjects=studies, seed=st.integers(0, 2**31), data=st.data())
def test_inner_folds_never_hold_a_subject_of_the_outer_test_cases(subjects, seed, data):
    outer = data.draw(st.sampled_from(make_folds(subjects, 2, seed)))
    trained = {subjects[i] for i in outer.train}
    if len(trained) < 2:
        return
    folds = inner_folds(subjects, outer, 2, seed)
    assert sorted(np.concatenate([fold.test for fold in folds])) == outer.train.tolist()
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == outer.train.tolist()
        assert not {subjects[i] for i in fold.train} & people(subjects, fold)


@given(subjects=studies, seed=st.integers(0, 2**31))
def test_as_many_folds_as_subjects_leaves_one_subject_out(subjects, seed):
    folds = make_folds(subjects, "leave_one_out", seed)
    assert folds_text(subjects, folds) == folds_text(subjects, make_folds(subjects, len(set(subjects)), seed))
    assert all(len(people(subjects, fold)) == 1 for fold in folds)


@given(subjects=studies, seed=st.integers(0, 2**31), data=st.data())
def test_a_subject_keeps_its_fold_whatever_the_order_of_the_cases(subjects, seed, data):
    shuffled = data.draw(st.permutations(subjects))
    assert folds_text(subjects, make_folds(subjects, 2, seed)) == folds_text(shuffled, make_folds(shuffled, 2, seed))


@given(subjects=studies, seed=st.integers(0, 2**31))
def test_written_folds_read_back_equal(subjects, seed):
    folds = make_folds(subjects, 2, seed)
    assert count_folds(folds_text(subjects, folds)) == 2
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
    with pytest.raises(ValueError, match=r"has 1 subject\(s\)"):
        make_folds(["a", "a"], "leave_one_out", 1)


def test_folds_of_another_study_are_refused():
    text = folds_text(["a", "b"], make_folds(["a", "b"], 2, 1))
    with pytest.raises(ValueError, match="another study"):
        parse_folds(text, ["a", "b", "c"])
    with pytest.raises(ValueError, match="first line"):
        parse_folds("subject\na\n", ["a"])
    with pytest.raises(ValueError, match="twice"):
        parse_folds(text + "1,a\n", ["a", "b"])
    with pytest.raises(ValueError, match="all subjects are in one fold"):
        parse_folds("fold,subject\n0,a\n", ["a"])


def test_a_folds_file_is_read_as_written_or_as_a_spreadsheet_saves_it(tmp_path):
    subjects = ["a", "b\r", "c,d"]
    text = folds_text(subjects, make_folds(subjects, 3, 1))
    path = tmp_path / "folds.csv"
    for written in (text.encode(), b"\xef\xbb\xbf" + text.replace('"a"', "a").encode()):
        path.write_bytes(written)
        assert folds_text(subjects, read_folds(path, subjects)) == text
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="no CSV in UTF-8"):
        read_folds(path, subjects)
    path.write_text("fold,subject\n0,a\n")
    with pytest.raises(ValueError, match=r"folds\.csv: subject 'b"):
        read_folds(path, subjects)
