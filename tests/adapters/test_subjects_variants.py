"""Names of diffusers' schedulers with an option, and hints at names."""

import inspect
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only

    from numdiff.adapters.subjects import diffusers, resolve


def test_higher_orders_have_names_of_their_own():
    """Whoever can be built with another order and runs with it is listed with it; nobody else is."""
    found = diffusers.names()
    variants = {name for name in found if "(" in name}
    for name in ("DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep"):
        assert f"{name}Scheduler(solver_order=3)" in variants
    for name in found:
        cls = diffusers._classes().get(name)
        options = {} if cls is None else inspect.signature(cls.__init__).parameters
        if f"{name}(solver_order=3)" in variants:
            assert options["solver_order"].default != 3
            more = "solver_order + 1" in inspect.getdoc(cls) or name == "HeliosScheduler"  # which has UniPC's corrector
            assert resolve(f"diffusers:{name}(solver_order=3)").order == 3 + more
            assert found.index(f"{name}(solver_order=3)") == found.index(name) + 1
        elif "solver_order" in options:  # what is listed without it cannot do it
            with pytest.raises(ValueError, match=f"^{name}"):
                resolve(f"diffusers:{name}(solver_order=3)")


def test_a_part_of_a_name_is_enough_for_a_hint():
    with pytest.raises(ValueError, match="unknown scheduler of diffusers 'UniPC'; did you mean 'UniPCMultistepSched"):
        diffusers.subject("UniPC")
