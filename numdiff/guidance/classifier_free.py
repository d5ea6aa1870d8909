r"""Classifier-free guidance: one network, evaluated with the condition and without it (Ho and Salimans 2022).

    m = m_null + w (m_condition - m_null),        w = 1 is the conditional network, w = 0 the unconditional one,

in the convention of most libraries (theirs is 1 + w in the paper, arXiv:2207.12598). The weights of the two
predictions sum to one, and every prediction is m = p x + q eps with the same p and q for both: guiding the noise, the
data, v or the velocity is the same thing. With several conditions of weights v_k (Liu et al. 2022, arXiv:2206.01714)

    m = m_null + w sum_k v_k (m_k - m_null),

and a term whose total weight is 0 is not evaluated. The null may be any condition (a negative prompt), and its network
another one: a weaker version of the same (autoguidance, Karras et al. 2024, arXiv:2406.02507) or one whose attention
is perturbed (Ahn et al. 2024, arXiv:2403.17377).

**Interval** (Kynkaanniemi et al. 2024, arXiv:2404.07724). Outside of it the conditional network alone, w = 1.

**Rescaling** (Lin et al. 2023, arXiv:2305.08891, section 3.4). Guidance with a large w enlarges the prediction, and the
image is overexposed. With the standard deviations over all entries of a sample

    m_rescaled = m std(m_condition)/std(m),        result = phi m_rescaled + (1 - phi) m.

This does not commute with changes of prediction, since p x is not scaled. The paper rescales what its network predicts
(v); here too the network's own prediction is rescaled, or the one named by `rescale_in`.

**Splitting.** `split` gives the parts that `LTSP`, `STSP` and `Strang` evaluate apart: the null network and
w (m_condition - m_null), as Wizadwongsa and Suwajanakorn (2023) split it, or the conditional network and
(w - 1) (m_condition - m_null), which is smaller.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff.drivers_checks import predicted, spelled
from numdiff.guidance.arrays import Array, concatenate, join, namespace, per_sample
from numdiff.guidance.calls import Calls
from numdiff.guidance.strength import Interval, Strength
from numdiff.methods.checks import choice
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import Prediction, convert, get
from numdiff.schedules import Schedule

Network = Callable[[Array, Any, Any], Array]
Model = Callable[[Array, Any], Array]
BASES = ("null", "condition")


@dataclass(frozen=True, eq=False)
class Weighted:
    """Several conditions with a weight each, as the condition of `ClassifierFree`.

    Parameters
    ----------
    conditions
        What the network takes as a condition.
    weights
        One number each; a negative one pushes away. If they sum to 1, scale 1 needs no null evaluation.

    Raises
    ------
    ValueError
        Unless there is one finite weight for each condition, one at least.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> both = nd.guidance.Weighted((1.0, 10.0), (0.75, 0.25))
    >>> network = lambda x, t, condition: x + condition[:, None]
    >>> guided = nd.guidance.ClassifierFree(network, both, 0.0, scale=2.0)
    >>> guided(np.zeros((1, 1)), 0.5).tolist()  # 2 (0.75 * 1 + 0.25 * 10)
    [[6.5]]
    >>> guided.calls.network
    3
    """

    conditions: tuple[Any, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not self.conditions or len(self.conditions) != len(self.weights):
            raise ValueError(
                f"weights must be one for each condition, got {len(self.weights)} for {len(self.conditions)}"
            )
        if not np.isfinite(np.asarray(self.weights, dtype=float)).all():
            raise ValueError(f"weights must be finite, got {self.weights}")


def rescaled(guided: Array, conditional: Array, factor: float) -> Array:
    """Return `guided` with its standard deviation moved towards that of `conditional`, sample by sample.

    Parameters
    ----------
    guided, conditional
        Predictions, shape (n, ...).
    factor
        phi: 0 leaves `guided` as it is, 1 gives each sample the standard deviation of `conditional`.

    Returns
    -------
    Array
        Shape (n, ...).

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> conditional = np.random.default_rng(0).normal(size=(4, 100))
    >>> moved = nd.guidance.rescaled(5 * conditional, conditional, 1.0)
    >>> bool(np.allclose(moved, conditional))
    True
    >>> half = nd.guidance.rescaled(5 * conditional, conditional, 0.5)
    >>> print(f"{half.std() / conditional.std():.2f}")
    3.00
    """
    xp = namespace(guided)
    axes = tuple(range(1, guided.ndim))
    spreads = [_spread(value, axes) for value in (conditional, guided)]
    constant = spreads[1] == 0  # a prediction without spread has none to move
    ratio = xp.where(constant, xp.ones_like(spreads[0]), spreads[0] / xp.where(constant, spreads[1] + 1, spreads[1]))
    return guided * (factor * ratio + (1 - factor))


def _like_the_samples(answer: Array, x: Array, count: int, batched: bool) -> Array:
    """Return a network's answer, which must have the shape of the samples it was given."""
    shape = getattr(answer, "shape", None)
    if shape is not None and shape == getattr(x, "shape", None):
        return answer
    namespace(x)  # says so where the samples are no array
    got = type(answer).__name__ if shape is None else f"shape {tuple(shape)}"
    together = f" ({count} conditions together)" if count > 1 else ""
    remedy = (
        f"; a condition that is a number arrives with one entry for each sample, shape ({len(x)},): reshape it in the "
        f"network, as condition.reshape({', '.join(['-1'] + ['1'] * (x.ndim - 1))}), or pass batched=False"
    )
    raise ValueError(
        f"the network returned {got} for a batch of {len(x)} samples of shape {tuple(x.shape)}{together}; it must "
        f"return one prediction of that shape{remedy if batched else ''}"
    )


def _spread(value: Array, axes: tuple[int, ...]) -> Array:
    if namespace(value) is np:
        return value.std(axis=axes, keepdims=True)
    return value.std(dim=axes, correction=0, keepdim=True)


class ClassifierFree:
    """A network under guidance, as a model: ``guided(x, t)``.

    Parameters
    ----------
    network
        ``network(x, t, condition)`` returns the prediction, shape of x, at the network's own time t.
    condition
        What the network takes: a tensor or array (axis 0 of len(x) entries or one), a number, None, or a dict, tuple
        or list of these; or several, as `Weighted`.
    null
        The condition of the other evaluation: the empty one, or a negative prompt.
    scale
        w: a number, an array of one for each sample, or a function of the half log-SNR that returns either. At the
        numbers 1 and 0 one evaluation is made, else two (one for each condition and the null).
    prediction
        What the network predicts; the guided model predicts the same. None takes ``network.prediction`` where it says
        so, else "noise".
    schedule
        Of the network, or the scheme that runs; needed where something depends on the noise level.
    rescale
        phi, from 0 to 1.
    rescale_in
        The prediction whose standard deviation is moved; None for the network's own, as published.
    interval
        Half log-SNRs (low, high), ends included, of guidance; see `sigma_interval`.
    batched
        Evaluate all conditions in one call of the network, on a batch of as many times the samples; False for one call
        each (half the memory, or conditions that cannot be joined).
    weak
        Another network, for the null; never batched with `network`.

    Attributes
    ----------
    prediction
        What it predicts, by name where that says all.
    model, fields
        The parts of `split` with ``base="null"``: the null network and {"condition": difference}.
    calls : Calls
        What has been evaluated so far, by the model and by its parts.

    Raises
    ------
    TypeError, ValueError
        For an argument out of its range, or a missing schedule; when called, if the network's answer does not have the
        shape of the samples it was given.

    Notes
    -----
    With ``batched=True`` the network always sees arrays with an entry for each sample, also where it is called for one
    condition alone; with False what was given, as it is. Conditions are joined once per number of samples and kept:
    replace one by making another guided model, not by writing into its memory.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> network = lambda x, t, condition: x + condition[:, None]
    >>> guided = nd.guidance.ClassifierFree(network, 1.0, 0.0, scale=5.0)
    >>> x = np.zeros((2, 1))
    >>> guided(x, 0.5).tolist()  # null + 5 (condition - null)
    [[5.0], [5.0]]
    >>> model, fields = guided.split()
    >>> (model(x, 0.5) + fields["condition"](x, 0.5)).tolist()
    [[5.0], [5.0]]
    """

    def __init__(
        self,
        network: Network,
        condition: Any,
        null: Any,
        scale: Any = 1.0,
        *,
        prediction: str | Prediction | None = None,
        schedule: Schedule | Scheme | None = None,
        rescale: float = 0.0,
        rescale_in: str | Prediction | None = None,
        interval: Interval | None = None,
        batched: bool = True,
        weak: Network | None = None,
    ) -> None:
        for name, function in (("network", network), ("weak", weak)):
            if not callable(function) and not (name == "weak" and function is None):
                raise TypeError(f"{name} must be a function of (x, t, condition), got {function!r}")
        if not (isinstance(rescale, (int, float, np.number)) and 0 <= rescale <= 1):
            raise ValueError(f"rescale must lie between 0 and 1, got {rescale!r}")
        self._own = predicted(network, prediction)
        self._rescaled_in = self._own if rescale_in is None else get(rescale_in)
        if rescale and self._rescaled_in != self._own and schedule is None:
            raise ValueError("rescale_in needs schedule=, since predictions are converted at the level of the time")
        self.prediction, self.rescale, self.batched = spelled(self._own), float(rescale), batched
        self._network, self._weak = network, weak
        several = condition if isinstance(condition, Weighted) else Weighted((condition,), (1.0,))
        self._conditions, self._weights = (null, *several.conditions), several.weights
        self._strength = Strength(scale, interval, schedule, off=1.0)
        self._joined: dict[Any, Any] = {}
        self.calls = Calls()

    def __call__(self, x: Array, t: Any) -> Array:
        """Return the guided prediction at the samples `x`, shape (n, ...), and the network's own time `t`."""
        scale = self._strength.at(t)
        rescales = bool(self.rescale) and not _is(scale, 1.0)
        weights = [scale * v for v in self._weights]
        null, parts = self._evaluate(x, t, weights, needs_all=rescales)
        guided = self._combined(null, parts, weights, x)
        if not rescales:
            return guided
        conditional = self._combined(null, parts, list(self._weights), x)
        return self._moved(guided, conditional, x, t)

    @property
    def model(self) -> Model:
        """The network at the null condition, the model of a splitting method."""
        return self.split()[0]

    @property
    def fields(self) -> dict[str, Model]:
        """What guidance adds to `model`, the other field of a splitting method."""
        return self.split()[1]

    def split(self, base: str = "null") -> tuple[Model, dict[str, Model]]:
        """Return the two parts whose sum is the guided model, for ``nd.sample(scheme, model, x, fields=fields)``.

        Parameters
        ----------
        base
            "null" for the null network and w (m_condition - m_null), "condition" for the conditional network and
            (w - 1) (m_condition - m_null).

        Raises
        ------
        ValueError
            For an unknown base, or rescaling, whose sum is the guided model of no two networks.
        """
        choice("base", base, BASES)
        if self.rescale:
            raise ValueError(
                "a rescaled model is no sum of two fields; split with rescale=0, or sample it as one field"
            )
        kept = float(base == "condition")

        def model(x: Array, t: Any) -> Array:
            weights = [kept * v for v in self._weights]
            return self._combined(*self._evaluate(x, t, weights), weights, x)

        def field(x: Array, t: Any) -> Array:
            factor = self._strength.at(t) - kept
            if _is(factor, 0.0):
                return namespace(x).zeros_like(x)
            null, parts = self._evaluate(x, t, [factor * v for v in self._weights], needs_all=True)
            return self._combined(null, parts, [factor * v for v in self._weights], x) - null

        model.prediction = self.prediction  # type: ignore[attr-defined]
        return model, {"condition": field}

    def _evaluate(self, x: Array, t: Any, weights: list[Any], needs_all: bool = False) -> tuple[Any, list[Any]]:
        """Return the predictions of the null and of the conditions; None where a weight of 0 makes one superfluous."""
        arrays = any(getattr(w, "ndim", 0) for w in weights)
        wanted = [needs_all or arrays or sum(weights) != 1.0]
        wanted += [(needs_all or not _is(w, 0.0)) for w in weights]
        found: list[Any] = [None] * len(wanted)
        indices = [i for i, want in enumerate(wanted) if want]
        if self._weak is not None and wanted[0]:
            found[0] = self._once(self._weak, x, t, 0)
            indices.remove(0)
        if not self.batched or len(indices) == 1:
            for i in indices:
                found[i] = self._once(self._network, x, t, i)
        elif indices:
            for i, part in zip(indices, self._together(x, t, tuple(indices)), strict=True):
                found[i] = part
        return found[0], found[1:]

    def _once(self, network: Network, x: Array, t: Any, i: int) -> Array:
        condition = self._condition((i,), x) if self.batched else self._conditions[i]
        self.calls.add(network=1, batches=1)
        return _like_the_samples(network(x, t, condition), x, 1, self.batched)

    def _condition(self, indices: tuple[int, ...], x: Array) -> Any:
        """Return several conditions as one, kept for the next call."""
        key = (indices, len(x), getattr(x, "device", None))
        if key not in self._joined:
            self._joined[key] = join([self._conditions[i] for i in indices], x)
        return self._joined[key]

    def _together(self, x: Array, t: Any, indices: tuple[int, ...]) -> list[Array]:
        """Return the predictions for several conditions by one call of the network."""
        n, count = len(x), len(indices)
        times = concatenate([t] * count) if getattr(t, "ndim", 0) and len(t) == n else t
        self.calls.add(network=count, batches=1)
        samples = concatenate([x] * count)
        both = self._network(samples, times, self._condition(indices, x))
        _like_the_samples(both, samples, count, self.batched)
        return [both[k * n : (k + 1) * n] for k in range(count)]

    def _combined(self, null: Any, parts: list[Any], weights: list[Any], x: Array) -> Array:
        """Return null + sum of weight * (part - null)."""
        terms = [(per_sample(w, x), part) for w, part in zip(weights, parts, strict=True) if part is not None]
        if null is None:  # the weights sum to 1
            out = terms[0][1] if _is(terms[0][0], 1.0) else terms[0][0] * terms[0][1]
            for w, part in terms[1:]:
                out = out + w * part
            return out
        torch = sys.modules.get("torch")
        if len(terms) == 1 and isinstance(terms[0][0], float) and torch is not None and isinstance(null, torch.Tensor):
            return torch.lerp(null, terms[0][1], terms[0][0])  # one pass over the memory
        out = null
        for w, part in terms:
            out = out + w * (part - null)
        return out

    def _moved(self, guided: Array, conditional: Array, x: Array, t: Any) -> Array:
        """Return the rescaled prediction, by way of the one in which it is rescaled."""
        if self._rescaled_in == self._own:
            return rescaled(guided, conditional, self.rescale)
        assert self._strength.level is not None
        level, own, other = self._strength.level(t), self._own, self._rescaled_in
        m, c = (convert(value, x, level, source=own, target=other) for value in (guided, conditional))
        return convert(rescaled(m, c, self.rescale), x, level, source=other, target=own)


def _is(value: Any, number: float) -> bool:
    """Return whether a strength is one number, and this one."""
    return not getattr(value, "ndim", 0) and value == number
