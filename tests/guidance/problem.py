"""A mixture of three classes behind the interface of a conditional network: guidance is exact on it."""

import numpy as np

import numdiff as nd

VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.GaussianMixture(
    [0.2, 0.3, 0.1, 0.4],
    [[-1.0, 0.5, 0.0], [1.0, -0.3, 0.4], [0.2, 1.1, -0.8], [0.9, 0.2, 0.7]],
    [[0.1, 0.2, 0.3], [0.2, 0.1, 0.4], [0.3, 0.3, 0.1], [0.1, 0.4, 0.2]],
)
CLASSES = ((0,), (1, 3), (2,))
X = np.random.default_rng(0).standard_normal((6, 3))
LABELS = np.array([0, 1, 2, 1, 0, 2])


def network(prediction="noise", schedule=VP):
    """Return network(x, t, labels), labels of shape (n,); class 3 is the null class."""
    laws = [*(MIXTURE.conditional(c) for c in CLASSES), MIXTURE]
    models = [law.model(schedule, prediction) for law in laws]

    def evaluate(x, t, labels):
        times = np.broadcast_to(np.asarray(t), (len(x),))
        rows = [models[c](x[i : i + 1], float(times[i])) for i, c in enumerate(labels)]
        return np.concatenate(rows)

    return evaluate


def log_guided(x, level, labels, scale):
    """Return log p(x) p(c|x)^scale, up to a constant, of every row."""
    share = MIXTURE.responsibilities(x, level)
    chosen = np.array([share[i, list(CLASSES[c])].sum() for i, c in enumerate(labels)])
    return MIXTURE.log_density(x, level) + scale * np.log(chosen)


def gradient(f, x, h=1e-4):
    """Return the gradient of f, shape (n,), at x, shape (n, d), by central differences of order 4."""
    out = np.empty_like(x)
    for k in range(x.shape[1]):
        e = np.zeros(x.shape[1])
        e[k] = h
        out[:, k] = (8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * h)
    return out
