import math

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation import paired_test
from scipy import stats

RNG = np.random.default_rng(5)
A = RNG.normal(0.80, 0.05, 12)
B = A - RNG.normal(0.02, 0.02, 12)


def test_values_are_those_of_scipy() -> None:
    test = paired_test(A, B)
    assert test.n == 12
    assert test.mean_difference == pytest.approx((A - B).mean())
    assert test.t_p == pytest.approx(stats.ttest_rel(A, B).pvalue)
    assert test.wilcoxon_p == pytest.approx(stats.wilcoxon(A, B).pvalue)


def test_by_hand() -> None:
    # Differences 1, 2, 3: t = 2 / (1 / sqrt(3)) with 2 degrees of freedom; all ranks positive: p = 2 / 2^3.
    test = paired_test([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert test.t_p == pytest.approx(0.0741799, abs=1e-6)
    assert test.wilcoxon_p == pytest.approx(0.25)


def test_the_order_changes_only_the_sign() -> None:
    there, back = paired_test(A, B), paired_test(B, A)
    assert there.mean_difference == pytest.approx(-back.mean_difference)
    assert (there.t_p, there.wilcoxon_p) == pytest.approx((back.t_p, back.wilcoxon_p))


def test_cases_without_a_value_are_left_out() -> None:
    first = np.append(A, [math.nan, 0.5])
    second = np.append(B, [0.5, math.nan])
    assert paired_test(first, second) == paired_test(A, B)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.5], 1), ([math.nan, 0.5], 1)])
def test_fewer_than_two_cases_have_no_p(values: list[float], n: int) -> None:
    test = paired_test(values, [0.4] * len(values))
    assert test.n == n
    assert math.isnan(test.t_p)
    assert math.isnan(test.wilcoxon_p)
    assert math.isnan(test.mean_difference) == (n == 0)


def test_equal_values_speak_for_nothing() -> None:
    test = paired_test(A, A)
    assert (test.n, test.mean_difference, test.t_p, test.wilcoxon_p) == (12, 0.0, 1.0, 1.0)
    assert paired_test(A, A + 1e-17).t_p == 1.0


def test_one_and_the_same_difference_has_no_spread() -> None:
    test = paired_test([0.5, 0.6, 0.7], [0.25, 0.35, 0.45])
    assert test.t_p == pytest.approx(0.0, abs=1e-12)
    assert test.wilcoxon_p < 1


def test_ties_and_zeros_are_ranked_without_warning() -> None:
    test = paired_test([0.0, 1.0, 1.0, 2.0, 3.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert test.n == 6
    assert 0 < test.wilcoxon_p < 0.1


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="two lists of one length"):
        paired_test([1.0, 2.0], [1.0])
