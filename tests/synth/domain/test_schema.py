"""Packing and decoding of rows: round trips, also through sliced chunks with offsets."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.domain.anatomy import BODY, HAND
from synth.domain.schema import Samples, columns_of, from_table, pack_silhouettes, to_table, unpack_silhouettes


def make_samples(count, anatomy=HAND, study=False, depth=True, seed=0, first_id=0):
    """Random rows of every column."""
    rng = np.random.default_rng([seed, count, 8])
    height, width = anatomy.size
    masks = rng.random((count, height, width)) < 0.4
    names = tuple(f"case-{i}" for i in range(first_id, first_id + count))
    landmarks = rng.normal(40, 20, (count, anatomy.num_landmarks, 3)).astype(np.float32)
    landmarks[0, 0] = np.nan
    return Samples(
        sample_id=np.arange(first_id, first_id + count),
        packed=pack_silhouettes(masks),
        depth_mm=(np.rint(rng.uniform(10, 400, masks.shape) * 10) / 10 * masks).astype(np.float32) if depth else None,
        landmarks=landmarks,
        visible=rng.integers(0, 4, (count, anatomy.num_landmarks)).astype(np.uint8),
        pixel_mm=rng.uniform(1, 3, (count, 2)).astype(np.float32),
        parameters=rng.normal(size=(count, 0 if study else 6)).astype(np.float32),
        joints=rng.normal(size=(count, 0 if study else 4, 3)).astype(np.float32),
        observed=pack_silhouettes(rng.random(masks.shape) < 0.9) if study else None,
        case=names if study else None,
        subject=tuple(f"s{i // 2}" for i in range(count)) if study else None,
        to_source=rng.normal(size=(count, 2, 3)) if study else None,
        to_patient=rng.normal(size=(count, 3, 4)) if study else None,
    )


def assert_equal(one, other, rows=slice(None)):
    for name, value in vars(one).items():
        got = getattr(other, name)
        if value is None:
            assert got is None, name
        elif isinstance(value, tuple):
            assert got == value[rows], name
        elif name == "depth_mm":
            np.testing.assert_allclose(got, value[rows], atol=0.05, err_msg=name)
        else:
            np.testing.assert_array_equal(got, value[rows], err_msg=name)
            assert got.dtype == value.dtype, name


@pytest.mark.parametrize("anatomy", [HAND, BODY])
@pytest.mark.parametrize("study", [False, True])
@pytest.mark.parametrize("depth", [False, True])
def test_rows_come_back(anatomy, study, depth):
    samples = make_samples(5, anatomy, study, depth)
    assert_equal(samples, from_table(to_table(samples, {}), anatomy))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 11), st.integers(1, 12), st.integers(1, 11))
def test_sliced_and_chunked_tables_give_their_own_rows(start, length, split):
    samples = make_samples(12, study=True)
    table = to_table(samples, {})
    chunked = pa.concat_tables([table.slice(0, split), table.slice(split)])
    rows = slice(start, min(start + length, 12))
    assert_equal(samples, from_table(chunked.slice(start, length), HAND), rows)


@given(st.integers(1, 5), st.integers(1, 20), st.integers(1, 20))
def test_bits_round_trip_for_any_size(count, height, width):
    masks = np.random.default_rng([count, height, width]).random((count, height, width)) < 0.5
    packed = pack_silhouettes(masks)
    assert packed.shape == (count, (height * width + 7) // 8)
    np.testing.assert_array_equal(unpack_silhouettes(packed, (height, width)), masks)


def test_first_pixel_is_the_most_significant_bit():
    mask = np.zeros((1, 2, 4), bool)
    mask[0, 0, 0] = mask[0, 1, 3] = True
    assert pack_silhouettes(mask).tolist() == [[0b10000001]]


def test_another_anatomy_is_refused():
    with pytest.raises(ValueError, match="another anatomy"):
        from_table(to_table(make_samples(2, BODY), {}), HAND)


def test_depth_beyond_what_16_bits_hold_is_our_own_mistake():
    samples = make_samples(1)
    with pytest.raises(AssertionError, match="beyond"):
        to_table(replace(samples, depth_mm=np.full((1, 96, 96), 7000, np.float32)), {})


def test_depth_is_read_only_when_wanted():
    assert "depth" not in columns_of(depth=False, study=False)
    assert {"depth", "case", "to_patient"} <= set(columns_of(depth=True, study=True))


@pytest.mark.parametrize("study", [False, True])
def test_chosen_rows_are_those_rows_in_every_column(study):
    made = make_samples(5, study=study)
    some = made.at(np.array([3, 1]))
    assert len(some) == 2
    np.testing.assert_array_equal(some.sample_id, made.sample_id[[3, 1]])
    back = from_table(to_table(made, {}).take([3, 1]), HAND)
    assert_equal(from_table(to_table(some, {}), HAND), back)
