"""The table behind the catalogue: families, options, their names by library, and what is no method here.

A row is (family, options, {library: "name | other name"}, note). Options are those of the library's defaults, and the
note says which of its switches give something else.

Sources: diffusers 0.35 to 0.42, k-diffusion 0.1, ComfyUI and AUTOMATIC1111's web UI as of 2025, and the papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from numdiff.sde import Tau, stochastic

D, K, C, A, P = "diffusers", "k-diffusion", "ComfyUI", "AUTOMATIC1111", "paper"

Row = tuple[str, Mapping[str, Any], Mapping[str, str], str]


def _menus(name: str, label: str, *others: str) -> dict[str, str]:
    """Return the names of a sampler that k-diffusion, ComfyUI (which has others too) and AUTOMATIC1111 share."""
    return {K: name, C: " | ".join([name, *others]), A: label}


_WINDOW = {at: Tau(1, 200.0, 800.0, "model_time", at) for at in ("start", "end")}
_NOISE, _DATA = "noise/log-snr", "data/log-snr"
_MIDPOINT = {"order": 2, "rule": "half"}
_DPM2 = {"order": 2, "formulation": _NOISE, "rule": "dpmsolver"}
_2S = {"order": 2, "rule": "dpmsolver"}
_FINAL = "lower_order_final ends runs of less than 15 steps with orders ..., 2, 1: discretize(orders=...)"
_UNIPC = "solver_order=2 by default; lower_order_final ends runs with orders ..., 2, 1: discretize(orders=...)"
_SA = (
    "tau is 1 from 200 to 800 of the model's time, which has 1000 entries, in ComfyUI from 20 to 80 percent of it; "
    "orders fall to 1 at the end: discretize(orders=...)"
)

_FIRST_ORDER: list[Row] = [
    (
        "ddim",
        {},
        {
            D: "DDIMScheduler | DDIMParallelScheduler | CogVideoXDDIMScheduler | EulerDiscreteScheduler"
            "| EDMEulerScheduler",
            **_menus("euler", "Euler"),
            P: "DDIM | EDM Euler",
        },
        "Euler's method in sigma/alpha is DDIM at eta = 0; s_churn in Euler's is family euler-churn",
    ),
    ("ddim", {}, {C: "ddim", A: "DDIM"}, ""),
    ("flow-euler", {}, {D: "FlowMatchEulerDiscreteScheduler | MiniMaxH3Scheduler", P: "rectified flow"}, ""),
]

_ADAMS: list[Row] = [
    (
        "lms",
        {"order": 4},
        {D: "LMSDiscreteScheduler", **_menus("lms", "LMS"), P: "rhoAB-DEIS | rhoAB3"},
        "on flow models ComfyUI's combines velocities: flow-ab; the paper's rhoAB3 combines 4 evaluations",
    ),
    *(("lms", {"order": k + 1}, {P: f"rhoAB{k}"}, f"the paper's combines {k + 1} evaluations") for k in (1, 2)),
    (
        "plms",
        {"order": 4},
        {D: "IPNDMScheduler", C: "ipndm", P: "iPNDM"},
        "diffusers' has a schedule of its own; ComfyUI's step to sigma = 0 has order 1, as by discretize(orders=...)",
    ),
    (
        "pndm",
        {"warmup": "runge-kutta"},
        {D: "PNDMScheduler", P: "F-PNDM"},
        "skip_prk_steps=True, which Stable Diffusion sets, is warmup heun; v predictions are combined as combine v",
    ),
    ("pndm", {"order": 2, "warmup": "heun"}, {P: "S-PNDM"}, ""),
    ("pndm", {"warmup": "heun"}, {A: "PLMS"}, "begins with a pseudo improved Euler step: one evaluation more"),
    (
        "ipndm-v",
        {"order": 4},
        {C: "ipndm_v", P: "iPNDM_v"},
        "as published; lms is what it is meant to be. ComfyUI's step to sigma = 0 has order 1",
    ),
    (
        "deis",
        {"order": 2, "variant": "log-rho"},
        {D: "DEISMultistepScheduler"},
        "solver_order=2 by default; interpolates in log(sigma/alpha), unlike the paper; " + _FINAL,
    ),
    (
        "deis",
        {"order": 3, "variant": "time"},
        {C: "deis"},
        "the time is the schedule's here; ComfyUI takes that of vp-linear always, and order 1 in the step to sigma = 0",
    ),
    ("deis", {"order": 4, "variant": "time"}, {P: "tAB-DEIS | tAB3"}, "the paper's tAB3 combines 4 evaluations"),
    *(
        ("deis", {"order": k + 1, "variant": "time"}, {P: f"tAB{k}"}, f"the paper's combines {k + 1} evaluations")
        for k in (1, 2)
    ),
    ("dpm-solver", _MIDPOINT, {P: "DPM-Solver multistep"}, "solver_type midpoint"),
    (
        "dpmpp",
        _MIDPOINT,
        {
            D: "DPMSolverMultistepScheduler | EDMDPMSolverMultistepScheduler",
            **_menus("dpmpp_2m", "DPM++ 2M"),
            P: "DPM-Solver++(2M)",
        },
        'solver_type "midpoint"; "heun" is rule exact, solver_order=3 is order 3 with rule 3m; the algorithm types '
        '"dpmsolver" and "sde-dpmsolver++" are families dpm-solver and sde-dpmpp; in diffusers ' + _FINAL,
    ),
    (
        "dpmpp",
        {"order": 3, "rule": "3m"},
        {P: "DPM-Solver++(3M) | DPM++ 3M | dpmpp_3m"},
        "order 2; rule exact has order 3",
    ),
    (
        "dpmpp",
        {"order": 2},
        {C: "res_multistep | res_2m", P: "RES multistep"},
        "the refined exponential solver with two evaluations is the exact exponential Adams method; res_2m comes with "
        "the RES4LYF extension",
    ),
    ("dpmpp", {"order": 3}, {C: "res_3m"}, "with three; comes with the RES4LYF extension"),
]

_CORRECTORS: list[Row] = [
    ("unipc", {"order": 2, "rule": "bh2"}, {D: "UniPCMultistepScheduler", P: "UniPC-2"}, _UNIPC),
    ("unipc", {"order": 3, "rule": "bh1"}, {C: "uni_pc"}, ""),
    ("unipc", {"order": 3, "rule": "bh2"}, {C: "uni_pc_bh2", P: "UniPC-3"}, "rule exact is vary_coeff"),
    ("unipc", {"order": 3, "rule": "bh1"}, {A: "UniPC"}, "order and variant are settings there"),
    ("unip", {"order": 2, "rule": "bh2"}, {P: "UniP-2"}, ""),
    ("unip", {"order": 3, "rule": "bh2"}, {P: "UniP-3"}, ""),
    (
        "sa-solver",
        {"order": 2, "corrector": 2, "tau": _WINDOW["start"], "rule": "bh1"},
        {D: "SASolverScheduler"},
        "asks tau at the start of a step, the authors' code at its end",
    ),
    (
        "sa-solver",
        {"order": 3, "corrector": 4, "tau": _WINDOW["end"]},
        {C: "sa_solver", P: "SA-Solver"},
        _SA,
    ),
    ("sa-solver", {"order": 3, "corrector": 4, "tau": _WINDOW["end"], "mode": "PECE"}, {C: "sa_solver_pece"}, _SA),
]

_ONE_STEP: list[Row] = [
    (
        "heun",
        {},
        {D: "HeunDiscreteScheduler | FlowMatchHeunDiscreteScheduler", **_menus("heun", "Heun"), P: "EDM Heun"},
        "without churn; k-diffusion's s_churn is family edm-stochastic",
    ),
    ("dpm-solver-single", _DPM2, {D: "KDPM2DiscreteScheduler", **_menus("dpm_2", "DPM2"), P: "DPM-Solver-2"}, ""),
    ("dpm-solver-single", {"order": 3, "formulation": _NOISE, "rule": "dpmsolver"}, {P: "DPM-Solver-3"}, ""),
    (
        "dpm-solver-single",
        _2S,
        {P: "DPM-Solver++(2S) | DPM++ 2S | dpmpp_2s"},
        "a step is over one interval of the grid; over two, with its stage at the inner level, it is single-step",
    ),
    (
        "single-step",
        {"order": 2, "rule": "half", "tail": "diffusers"},
        {D: "DPMSolverSinglestepScheduler"},
        'solver_order=2 by default, as order; solver_type "heun" is rule taylor, algorithm_type "dpmsolver" '
        "formulation noise/log-snr; without lower_order_final tail full",
    ),
    (
        "single-step",
        {"order": 3, "formulation": _NOISE, "rule": "dpmsolver"},
        {**_menus("dpm_fast", "DPM fast"), P: "DPM-Solver-fast"},
        "eta = 0; there the steps, not the evaluations, are equally long in log-SNR: a grid of N//3 + 1 equal steps, "
        "each cut into as many intervals as its order",
    ),
    ("dpm-solver-single", {"order": 3, "rule": "dpmsolver"}, {P: "DPM-Solver++(3S)"}, ""),
    ("dpm-solver-single", {"order": 2, "c2": 1}, {C: "exp_heun_2_x0"}, "the exponential Heun method on data"),
    ("res", {"order": 2}, {C: "res_2s", P: "RES-2S"}, "res_2s comes with the RES4LYF extension"),
    ("res", {"order": 3}, {C: "res_3s", P: "RES-3S"}, "res_3s comes with the RES4LYF extension"),
]

_STOCHASTIC: list[Row] = [
    (
        "ancestral",
        {},
        {D: "EulerAncestralDiscreteScheduler", **_menus("euler_ancestral", "Euler a")},
        "eta = 1; on flow schedules ComfyUI's is rule flow",
    ),
    ("ancestral", {"rule": "flow"}, {D: "LTXEulerAncestralRFScheduler"}, "for flow schedules"),
    ("dpm2-ancestral", {}, {D: "KDPM2AncestralDiscreteScheduler", **_menus("dpm_2_ancestral", "DPM2 a")}, ""),
    ("dpmpp-2s-ancestral", {}, _menus("dpmpp_2s_ancestral", "DPM++ 2S a"), ""),
    (
        "dpmpp-sde",
        {"path": "rho"},
        {D: "DPMSolverSDEScheduler", **_menus("dpmpp_sde", "DPM++ SDE", "dpmpp_sde_gpu")},
        "a Brownian path over sigma/alpha, as there",
    ),
    (
        "sde-dpmpp",
        _MIDPOINT,
        {
            D: "CosineDPMSolverMultistepScheduler",
            **_menus("dpmpp_2m_sde", "DPM++ 2M SDE", "dpmpp_2m_sde_gpu"),
            P: "SDE-DPM-Solver++(2M)",
        },
        "solver_type midpoint; k-diffusion's eta is tau^2",
    ),
    ("sde-dpmpp", {"order": 2}, {C: "dpmpp_2m_sde_heun | dpmpp_2m_sde_heun_gpu", A: "DPM++ 2M SDE Heun"}, ""),
    ("sde-dpmpp", {"order": 1}, {P: "SDE-DPM-Solver++1"}, ""),
    (
        "sde-dpmpp",
        {"order": 3, "rule": "3m-heun"},
        _menus("dpmpp_3m_sde", "DPM++ 3M SDE", "dpmpp_3m_sde_gpu"),
        "order 2 as published; rule exact has order 3 without noise",
    ),
    ("sde-dpm-solver", {"order": 2, "rule": "half"}, {P: "SDE-DPM-Solver(2M)"}, ""),
    (
        "ddpm",
        {},
        {D: "DDPMScheduler | DDPMParallelScheduler | DDPMWuerstchenScheduler", C: "ddpm", P: "DDPM"},
        'variance_type "fixed_large" is variance fixed-large; learned variances scale the noise by the network',
    ),
    ("edm-stochastic", {}, {P: "EDM | EDM stochastic"}, "the paper's values for ImageNet-64"),
    (
        "dpm-solver-single",
        {**_2S, "formulation": stochastic(_DATA)},
        {C: "seeds_2"},
        "eta = 1, r = 1/2, solver_type phi_1; phi_2 is rule exact",
    ),
    (
        "dpm-solver-single",
        {"order": 3, "rule": "dpmsolver", "formulation": stochastic(_DATA)},
        {C: "seeds_3"},
        "eta = 1",
    ),
    (
        "dpm-solver-single",
        {"order": 2, "c2": 1, "formulation": stochastic(_DATA)},
        {C: "exp_heun_2_x0_sde"},
        "",
    ),
    *(("seeds", {"order": n}, {P: f"SEEDS-{n}"}, "on noise predictions, as in the paper") for n in (1, 2, 3)),
    ("sit", {}, {P: "SiT"}, "Euler-Maruyama; the last step of its grids has length 0.04"),
    (
        "sit",
        {"rule": "euler", "diffusion": "sbdm"},
        {P: "Euler-Maruyama"},
        "for the reverse diffusion in the schedule's time, with a last step without noise",
    ),
]

_EXPONENTIAL = {
    "ETD2RK": "ETD2RK | ETDRK2",
    "ETD3RK": "ETD3RK | ETDRK3",
    "ETD4RK": "ETD4RK | ETDRK4 | Cox-Matthews",
    "Krogstad4": "Krogstad | Krogstad4 | ETDRK4-B",
    "StrehmelWeiner4": "Strehmel-Weiner | StrehmelWeiner4",
}

_OTHERS: list[Row] = [
    ("ltsp", {"order": 4, "weights": "uniform"}, {P: "LTSP4"}, ""),
    ("stsp", {"order": 4, "weights": "uniform"}, {P: "STSP4"}, ""),
    *(("etd", {"tableau": name}, {P: names}, "") for name, names in _EXPONENTIAL.items()),
    *(
        ("rho-rk", {"tableau": name}, {P: f"{name} | rho{name[0]}{name[1:].title()}"}, "of DEIS, on noise")
        for name in ("1euler", "2heun", "3ralston", "3heun", "3vdh", "3ssp", "4rk")
    ),
    ("rho-rk", {"tableau": "3kutta"}, {P: "3kutta | rho3Kutta | rhoRK-DEIS"}, "of DEIS, on noise"),
    ("bdia", {"gamma": Fraction(24, 25)}, {P: "BDIA-DDIM"}, "gamma = 0.96 as in the paper; 1 is symmetric"),
]

ROWS: tuple[Row, ...] = (*_FIRST_ORDER, *_ADAMS, *_CORRECTORS, *_ONE_STEP, *_STOCHASTIC, *_OTHERS)

_ADAPTIVE = "its step sizes depend on the sample, by an estimate of the local error"
_TOKENS = "it samples discrete tokens, not a diffusion of real numbers"
_CONSISTENCY = "its network maps to another time of a trajectory, which is no prediction of noise, data or velocity"
_LANGEVIN = "its Langevin corrector scales its step by norms of the sample and of the score"

OUTSIDE: dict[str, str] = {
    "dpm_adaptive | DPM adaptive | dpm_ad | DPM-Solver-12 | DPM-Solver-23 | DPM-Solver adaptive": _ADAPTIVE,
    "ode_rk45 | RK45 | Dormand-Prince": _ADAPTIVE,
    "ERA-Solver": "it picks the evaluations that it interpolates by an estimate of the noise error",
    "AMED-Solver | AMED-Plugin": "a trained network gives its intermediate times",
    "ScoreSdeVeScheduler | ScoreSdeVpScheduler | PC sampler | Langevin": _LANGEVIN,
    "VQDiffusionScheduler | AmusedScheduler | DiscreteDDIMScheduler": _TOKENS,
    "BlockRefinementScheduler | EntropyBoundScheduler": _TOKENS,
    "CMStochasticIterativeScheduler | ConsistencyDecoderScheduler | consistency": _CONSISTENCY,
    "LCMScheduler | TCDScheduler | FlowMatchLCMScheduler | LCM": _CONSISTENCY,
    "SCMScheduler | FlowMapEulerDiscreteScheduler": _CONSISTENCY,
    "PiflowScheduler": "its network gives a policy that is integrated between evaluations",
    "RePaintScheduler | RePaint": "it mixes a known picture into the sample and goes back to noisier levels",
    "Restart": "it goes back to noisier levels, and a grid here goes one way",
    "UnCLIPScheduler | DDPM learned variance": "the network gives the size of its noise, which multiplies the noise",
    "DDIMInverseScheduler | DPMSolverMultistepInverseScheduler": "it runs from data to noise: nd.invert does",
    "HeliosScheduler | HeliosDMDScheduler": "it changes the size of the picture on the way",
    "RFD4ProteinaScheduler": "it rescales the score to lower the temperature, which is a property of the model here",
}
"""Names that cannot be built (separated by "|") and why: "NAME is not a fixed-step linear method: WHY"."""

_GUIDED = "a step that combines predictions with and without guidance; see the one of that name without CFG++"

ABSENT: dict[str, str] = {
    "heunpp2 | Heun++": "Heun's method with weights that change along the grid; see heun",
    "gradient_estimation": "Euler's method with twice the newest evaluation less the one before it; see ab",
    "er_sde | ER-SDE-Solver": "a diffusion with another amount of noise; see sde-dpmpp",
    "res_multistep_ancestral": "an ancestral step of a multistep method; see sde-dpmpp",
    "euler_cfg_pp | euler_ancestral_cfg_pp | dpmpp_2s_ancestral_cfg_pp | dpmpp_2m_cfg_pp | DDIM CFG++": _GUIDED,
    "res_multistep_cfg_pp | res_multistep_ancestral_cfg_pp | gradient_estimation_cfg_pp | CFG++": _GUIDED,
    "CogVideoXDPMScheduler": "a variant of SDE-DPM-Solver++ 2M; see sde-dpmpp",
    "DPM-Solver-v3": "an exponential predictor-corrector with arrays fitted to one model; see unipc",
    "EDICT": "two samples that every step mixes, so that it can be run back exactly; see bdia",
    "BELM | O-BELM": "a two-step method on the samples that can be run back exactly; see bdia",
    "KarrasVeScheduler": "EDM's stochastic sampler with a deprecated interface; see edm-stochastic",
}
"""Linear methods without a family (names separated by "|"), and what is near: "NAME has no family here: WHAT"."""

FOLLOWING: dict[str, dict[tuple[str, Any], dict[str, Any]]] = {
    name: {("order", 1): {"rule": "exact"}, ("order", 3): {"rule": "3m"}}
    for name in ("DPMSolverMultistepScheduler", "EDMDPMSolverMultistepScheduler")
}
"""What options of a name become when another option (name, value) is given: what the class of that name does then."""
