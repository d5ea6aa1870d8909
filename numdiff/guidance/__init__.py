"""Guidance: models made of models, and edits of what they predict or of the sample between two evaluations.

::

    guided = nd.guidance.ClassifierFree(network, labels, null, scale=5.0, prediction="v", schedule=schedule)
    x0 = nd.sample(scheme, guided, x_T, prediction="v")                                # one field
    x0 = nd.sample(split, guided.model, x_T, prediction="v", fields=guided.fields)     # two: LTSP, STSP, Strang

`ClassifierFree` combines the predictions of one network under several conditions; `ClassifierGuided` adds the gradient
of a classifier. What depends on the noise level (a strength, an interval) is a function of the half log-SNR
lambda = log(alpha/sigma): `Ramp`, `PerStep`, `cfg_plus_plus`, `sigma_interval`. `thresholded`, `on_data` and
`Inpainting` change the clean image that a model predicts. `artifact_magnitude` measures what strong guidance does.

**Order.** Wrap from the inside out: guidance, then thresholding, then inpainting,

    model = Inpainting(known, mask, schedule).wrap(thresholded(guided, schedule, "v"), "v")

since thresholding is there for the overshoot that guidance makes, and known pixels are known whatever is predicted for
the others. Both are not linear: a splitting method, which evaluates the two parts of a guided model apart, cannot take
them, and neither does ``rescale`` split into two parts of which one is a plain network (`ClassifierFree.split`).

Everything here runs on NumPy arrays and on torch tensors (a classifier's gradient by autograd on torch only), and axis
0 of a sample counts the samples. Importing this package imports NumPy only.
"""

from numdiff.guidance.artifacts import artifact_magnitude
from numdiff.guidance.calls import Calls
from numdiff.guidance.classifier import ClassifierGuided
from numdiff.guidance.classifier_free import ClassifierFree, Weighted, rescaled
from numdiff.guidance.clean import OnData, on_data, threshold, thresholded
from numdiff.guidance.inpainting import Inpainting
from numdiff.guidance.strength import PerStep, Ramp, cfg_plus_plus, of_time, sigma_interval

__all__ = [
    "Calls",
    "ClassifierFree",
    "ClassifierGuided",
    "Inpainting",
    "OnData",
    "PerStep",
    "Ramp",
    "Weighted",
    "artifact_magnitude",
    "cfg_plus_plus",
    "of_time",
    "on_data",
    "rescaled",
    "sigma_interval",
    "threshold",
    "thresholded",
]
