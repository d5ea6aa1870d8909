"""Tables of noise levels: the published ones, the pieces between entries, zero terminal SNR, and error messages."""

import math

import numpy as np
import pytest
import torch

from numdiff import schedules

EPS = 2.0**-52


def zero_terminal(N=50):
    betas = np.linspace(1e-3, 0.2, N)
    betas[-1] = 1
    return schedules.Discrete(betas=betas, name="zero-terminal")


TABLES = [schedules.Discrete.ddpm_linear(), schedules.Discrete.stable_diffusion(), zero_terminal()]


@pytest.mark.parametrize(
    ("table", "rule", "ends"),
    [(TABLES[0], "linear", (1e-4, 0.02)), (TABLES[1], "scaled_linear", (0.00085, 0.012))],
    ids=["ddpm", "stable-diffusion"],
)
def test_presets_are_the_published_tables(table, rule, ends):
    from diffusers import DDPMScheduler

    published = DDPMScheduler(1000, beta_start=ends[0], beta_end=ends[1], beta_schedule=rule).alphas_cumprod
    # diffusers works in float32: each 1 - beta is off by up to 2^-25 and each product by as much again, a random walk
    # of 2000 terms whose standard deviation is 2000^(1/2) 2^-25/3^(1/2) = 8e-7; six of those
    np.testing.assert_allclose(table.alphas_cumprod, published.double().numpy(), rtol=5e-6)
    given_float32 = schedules.Discrete(alphas_cumprod=published)
    np.testing.assert_array_equal(given_float32.alphas_cumprod, published.double().numpy())
    for i in (0, 1, 500, 999):
        assert given_float32.alpha((i + 1) / 1000) ** 2 == pytest.approx(published[i].item(), rel=32 * EPS)


@pytest.mark.parametrize("table", TABLES, ids=repr)
def test_table_entries_and_pieces(table):
    bar = np.array(table.alphas_cumprod)
    entries = table.from_model_time(np.arange(table.N))
    np.testing.assert_array_equal(table.model_time(entries), np.arange(table.N))  # integers, not blurred ones
    assert [table.model_time(t) for t in entries.tolist()] == list(range(table.N))
    np.testing.assert_allclose(table.alpha(entries) ** 2, bar, rtol=32 * EPS)  # exp(log alpha), |log alpha| <= 5
    np.testing.assert_allclose(table.sigma(entries) ** 2, 1 - bar, rtol=1e-11)  # 1 - bar cancels down to 1e-4
    middle = table.alpha((np.arange(1, table.N - 1) + 0.5) / table.N)
    np.testing.assert_allclose(middle**2, np.sqrt(bar[:-2] * bar[1:-1]), rtol=32 * EPS)  # geometric means
    last = table.alpha((table.N - 0.5) / table.N)
    mean = 0.5 * math.sqrt(bar[-2]) if bar[-1] == 0 else (bar[-2] * bar[-1]) ** 0.25
    assert last == pytest.approx(mean, rel=1e-12)  # N t is a number near N, rounded: 1e-13 of an entry


def test_betas_and_alphas_cumprod_say_the_same():
    betas = [0.1, 0.2, 0.5]
    table = schedules.Discrete(betas=betas)
    np.testing.assert_allclose(table.alphas_cumprod, [0.9, 0.72, 0.36], rtol=4 * EPS)
    for same in (np.array(betas), torch.tensor(betas, dtype=torch.float64), tuple(betas)):
        assert schedules.Discrete(betas=same) == table
    assert schedules.Discrete(alphas_cumprod=table.alphas_cumprod) == table
    assert hash(schedules.Discrete(alphas_cumprod=table.alphas_cumprod)) == hash(table)


def test_zero_terminal_table_of_diffusers():
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    betas = rescale_zero_terminal_snr(torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2)
    table = schedules.Discrete(betas=betas)
    assert table.alpha(1.0) == 0
    assert table.sigma(1.0) == 1
    t = torch.tensor([0.1, 0.5, 0.9995, 1.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(table.alpha(t).sum() + table.sigma(t).sum(), t)
    assert torch.isfinite(slope).all()


def test_repr_is_short():
    assert repr(TABLES[0]) == "Discrete('ddpm-linear', N=1000, sigma/alpha=0.01..157.4)"


def test_tables_have_no_derivatives():
    assert not TABLES[0].has_derivatives
    assert TABLES[0].level(0.5).d_alpha is None
    for function in (TABLES[0].d_alpha, TABLES[0].d_sigma):
        with pytest.raises(ValueError, match="'ddpm-linear' is a table and has no time derivatives"):
            function(0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (schedules.Discrete, "exactly one of betas and alphas_cumprod"),
        (lambda: schedules.Discrete(betas=[0.1], alphas_cumprod=[0.9]), "exactly one of"),
        (lambda: schedules.Discrete(betas=[0.1, 0.0, 0.2]), r"betas\[1\] = 0.0"),
        (lambda: schedules.Discrete(betas=[0.1, 1.0, 0.2]), r"betas\[1\] = 1.0"),
        (lambda: schedules.Discrete(betas=[0.1, math.nan]), r"betas\[1\] = nan"),
        (lambda: schedules.Discrete(betas=[0.1]), "at least two entries"),
        (lambda: schedules.Discrete(betas=[[0.1, 0.2]]), r"shape \(1, 2\)"),
        (lambda: schedules.Discrete(alphas_cumprod=[0.9, 0.95]), r"\[1\] = 0.95 follows alphas_cumprod\[0\] = 0.9"),
        (lambda: schedules.Discrete(alphas_cumprod=[1.0, 0.9]), "follows 1, the clean end"),
        (lambda: schedules.Discrete(alphas_cumprod=[0.9, -0.1]), "must not be negative"),
        (lambda: TABLES[0].from_model_time(1000), r"model time = 1000.0 lies outside \[-1.0, 999.0\]"),
    ],
)
def test_values_that_make_no_table(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_tables_of_no_numbers():
    with pytest.raises(TypeError, match="betas must be an array of numbers"):
        schedules.Discrete(betas=["a", "b"])
