"""The diffusion test problem: what a scheme makes of Gaussian data, exactly, as a function of the data's scale."""

from numdiff.properties.spectral.distances import Errors, errors
from numdiff.properties.spectral.growth import steady_gain
from numdiff.properties.spectral.rational import exact
from numdiff.properties.spectral.recursion import Response, response, transfer

__all__ = ["Errors", "Response", "errors", "exact", "response", "steady_gain", "transfer"]
