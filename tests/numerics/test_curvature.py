"""Matrices from products, their spectra and estimates, on matrices that are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import cg, eigsh

from graphc.numerics.density import spectral_density
from graphc.numerics.fisher import dense_fisher, fisher_diagonal, fisher_product
from graphc.numerics.hessian import TooLargeError, asymmetry, dense, diagonal, layer_blocks
from graphc.numerics.lanczos import eigenpairs
from graphc.numerics.operators import damped_inverse, operator
from graphc.numerics.stochastic import probe
from graphc.numerics.vectors import Layout, Matrix, Vector


def symmetric(n: int, seed: int = 0) -> Matrix:
    rows = np.random.default_rng(seed).standard_normal((n, n))
    return (rows + rows.T) / 2


def with_values(values: list[float], seed: int = 0) -> Matrix:
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values),) * 2))
    return basis @ np.diag(values) @ basis.T


def product_of(matrix: Matrix):
    return lambda tangents: tangents @ matrix


# ------------------------------------------------------------------ matrices


@given(n=st.integers(1, 40), block=st.integers(1, 50), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_blocks_of_any_size_give_the_matrix(n: int, block: int, seed: int) -> None:
    matrix = symmetric(n, seed)
    np.testing.assert_array_equal(dense(product_of(matrix), n, block=block), matrix)
    np.testing.assert_array_equal(diagonal(product_of(matrix), n, block=block), matrix.diagonal())


def test_parameters_have_blocks_of_their_own() -> None:
    matrix = symmetric(9)
    blocks = layer_blocks(product_of(matrix), Layout({"W": (2, 3), "b": (3,)}), block=2)
    np.testing.assert_array_equal(blocks["W"], matrix[:6, :6])
    np.testing.assert_array_equal(blocks["b"], matrix[6:, 6:])


def test_both_triangles_are_the_mean_of_the_two() -> None:
    matrix = np.random.default_rng(0).standard_normal((1100, 1100))
    found = dense(product_of(matrix), 1100, block=400)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(found, (matrix + matrix.T) / 2, atol=1e-15)


def test_too_large_says_what_it_would_take() -> None:
    matrix = symmetric(30)
    with pytest.raises(TooLargeError, match="30 parameters are more than 20") as caught:
        dense(product_of(matrix), 30, limit=20)
    assert (caught.value.n, caught.value.bytes, caught.value.limit) == (30, 7200, 20)
    assert 0 < caught.value.seconds < 60
    with pytest.raises(TooLargeError) as caught:
        diagonal(product_of(matrix), 30, limit=20)
    assert caught.value.bytes == 240
    with pytest.raises(TooLargeError):
        layer_blocks(product_of(matrix), Layout({"W": (5, 6)}), limit=20)
    assert layer_blocks(product_of(matrix), Layout({"W": (15,), "V": (15,)}), limit=20)


def test_asymmetry_is_seen() -> None:
    matrix, rng = symmetric(20), np.random.default_rng(1)
    assert asymmetry(product_of(matrix), 20, rng) < 1e-12
    matrix[3, 4] += 1
    assert asymmetry(product_of(matrix), 20, rng) > 1e-4


# ------------------------------------------------------------------ Fisher


def rows_of(gradients: Matrix, weights: Vector):
    def rows() -> Iterator[tuple[Vector, Matrix]]:
        for first in range(0, len(gradients), 7):
            yield weights[first : first + 7], gradients[first : first + 7]

    return rows


def test_fisher_is_the_weighted_mean_of_outer_products() -> None:
    rng = np.random.default_rng(2)
    gradients, weights = rng.standard_normal((20, 5)), rng.random(20)
    expected = sum(w * np.outer(g, g) for w, g in zip(weights, gradients, strict=True)) / 10
    rows = rows_of(gradients, weights)
    found = dense_fisher(rows, 5, 10)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_allclose(fisher_diagonal(rows, 5, 10), expected.diagonal(), rtol=1e-13)
    tangents = rng.standard_normal((3, 5))
    np.testing.assert_allclose(fisher_product(rows, 10)(tangents), tangents @ expected, rtol=1e-12)
    assert np.linalg.eigvalsh(found).min() > 0
    with pytest.raises(TooLargeError):
        dense_fisher(rows, 5, 10, limit=4)


# ------------------------------------------------------------------ estimates


def test_error_bars_cover_the_trace_and_the_diagonal_as_often_as_they_say() -> None:
    matrix = symmetric(40)
    covered, entries = 0, []
    for seed in range(200):
        found = probe(product_of(matrix), 40, 50, np.random.default_rng(seed))
        covered += abs(found.trace.value - np.trace(matrix)) < 2 * found.trace.error
        entries.append(np.abs(found.diagonal - matrix.diagonal()) < 2 * found.errors)
    # Student's t with 49 degrees of freedom: 94.9% within two standard errors.
    assert 0.90 <= covered / 200 <= 0.985
    assert 0.93 <= np.mean(entries) <= 0.965


def test_a_product_that_is_half_as_large_is_not_covered() -> None:
    matrix = symmetric(40) + 3 * np.eye(40)
    found = probe(lambda v: v @ matrix / 2, 40, 200, np.random.default_rng(0))
    assert abs(found.trace.value - np.trace(matrix)) > 10 * found.trace.error


def test_a_diagonal_matrix_has_no_error() -> None:
    found = probe(product_of(np.diag(np.arange(6.0))), 6, 2, np.random.default_rng(0))
    assert (found.trace.value, found.trace.error) == (15, 0)
    np.testing.assert_array_equal(found.diagonal, np.arange(6.0))
    with pytest.raises(ValueError, match="two probes"):
        probe(product_of(np.eye(6)), 6, 1, np.random.default_rng(0))


# ------------------------------------------------------------------ Lanczos


@given(
    n=st.integers(1, 60),
    k=st.integers(1, 8),
    which=st.sampled_from(["magnitude", "largest", "smallest", "ends"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_lanczos_equals_eigh(n: int, k: int, which: str, seed: int) -> None:
    k, matrix = min(k, n), symmetric(n, seed)
    found = eigenpairs(product_of(matrix), n, k, np.random.default_rng(seed), which=which)
    exact = np.linalg.eigvalsh(matrix)
    expected = {
        "magnitude": exact[np.argsort(np.abs(exact))[-k:]],
        "largest": exact[-k:],
        "smallest": exact[:k],
        "ends": exact[sorted({*range(k), *range(n - k, n)})],
    }[which]
    np.testing.assert_allclose(np.sort(found.values), np.sort(expected), atol=1e-7)
    assert np.all(np.diff(found.values) <= 0)
    images = found.vectors @ matrix - found.values[:, None] * found.vectors
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), found.residuals, atol=1e-12)
    np.testing.assert_allclose(
        found.vectors @ found.vectors.T, np.eye(len(found.values)), atol=1e-9
    )


def test_residuals_bound_the_error_before_convergence() -> None:
    matrix = symmetric(300)
    found = eigenpairs(product_of(matrix), 300, 3, np.random.default_rng(0), most=25)
    exact = np.linalg.eigvalsh(matrix)
    assert (found.steps, found.complete) == (25, False)
    assert found.residuals.max() > 1e-3
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert np.abs(exact - value).min() <= residual


def test_multiple_eigenvalues_and_null_spaces_are_found_where_all_is_searched() -> None:
    values = [5.0, 5.0, 5.0, 1.0, 0.0, 0.0, 0.0, -2.0, -2.0]
    matrix = with_values(values)
    found = eigenpairs(product_of(matrix), 9, 9, np.random.default_rng(0))
    np.testing.assert_allclose(found.values, sorted(values, reverse=True), atol=1e-12)
    assert found.complete
    zero = eigenpairs(product_of(np.zeros((4, 4))), 4, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(zero.values, [0, 0])


def test_a_number_of_pairs_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="1 to 3 eigenpairs, not 4"):
        eigenpairs(product_of(np.eye(3)), 3, 4, np.random.default_rng(0))


# ------------------------------------------------------------------ density


def test_density_integrates_to_one_and_has_the_moments() -> None:
    matrix = symmetric(120) + np.eye(120)
    found = spectral_density(product_of(matrix), 120, np.random.default_rng(0), probes=30, steps=20)
    places = np.linspace(*found.range, 4000)
    heights, errors = found.at(places)
    assert np.trapezoid(heights, places) == pytest.approx(1, abs=1e-3)
    assert heights.min() >= 0
    assert errors.max() < heights.max()
    exact = np.linalg.eigvalsh(matrix)
    for power in range(5):
        moment = found.moment(power)
        truth = np.mean(exact**power)
        assert abs(moment.value - truth) <= 4 * moment.error + 1e-9 * abs(truth)
    negative = found.share(-np.inf, 0)
    assert abs(negative.value - np.mean(exact < 0)) < 4 * negative.error + 0.02


def test_quadrature_has_the_moments_of_its_probe_exactly() -> None:
    """20 steps are exact up to the power 39; one probe's moment is vᵀ Aᵖ v / n."""
    matrix = symmetric(60) / 8
    found = spectral_density(product_of(matrix), 60, np.random.default_rng(7), probes=2, steps=10)
    signs = np.random.default_rng(7).choice([-1.0, 1.0], (2, 60))
    for sign, (values, weights) in zip(signs, found.nodes, strict=True):
        for power in range(20):
            exact = sign @ np.linalg.matrix_power(matrix, power) @ sign / 60
            assert weights @ values**power == pytest.approx(exact, abs=1e-11, rel=1e-9)


def test_a_multiple_of_one_has_one_value() -> None:
    found = spectral_density(product_of(3 * np.eye(8)), 8, np.random.default_rng(0), probes=2)
    assert found.moment(1).value == pytest.approx(3)
    assert found.share(2.9, 3.1).value == pytest.approx(1)
    places = np.linspace(*found.range, 2001)
    assert np.trapezoid(found.at(places)[0], places) == pytest.approx(1, abs=1e-3)


# ------------------------------------------------------------------ operators


def test_scipy_agrees() -> None:
    matrix = with_values([float(i) for i in range(1, 31)])
    whole = operator(product_of(matrix), 30)
    largest = eigsh(whole, k=3, return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(largest), [28, 29, 30], rtol=1e-9)
    right = np.arange(30.0)
    solution, status = cg(whole, right, rtol=1e-12)
    assert status == 0
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, right), rtol=1e-8)
    np.testing.assert_allclose(whole @ np.eye(30), matrix, atol=1e-14)
    np.testing.assert_allclose(whole.T @ right, matrix @ right, atol=1e-12)


def test_the_damped_inverse_inverts_an_indefinite_matrix() -> None:
    matrix = with_values([-2.0, -1e-3, 0.5, 4.0])
    values, vectors = np.linalg.eigh(matrix)
    inverse = damped_inverse(values, vectors.T, 0.1)
    np.testing.assert_allclose(inverse @ (matrix + 0.1 * np.eye(4)), np.eye(4), atol=1e-12)
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        damped_inverse(values, vectors.T, 2.0)
