"""Samples from pipelines: sample i is seed i's, whatever its batch; and what goes wrong is said with its place."""

import numpy as np
import pytest
import torch

from tests import pipelines

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
STEPS = {"num_inference_steps": 5}


@pytest.fixture(scope="module")
def pipe():
    return pipelines.tiny("ddpm")


@pytest.fixture(scope="module")
def ours(pipe):
    """A scheduler that adds noise, so that a sample's generator is used in every step."""
    from numdiff.adapters.diffusers import NumdiffScheduler

    return NumdiffScheduler.from_config(pipe.scheduler.config, method="ancestral")


@pytest.fixture
def generate(pipe):
    from numdiff.adapters.pipelines import generate

    return generate


# --- samples ----------------------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_pipeline_s_own_call(pipe, generate):
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 8)]
    expected = pipe(batch_size=2, generator=generators, output_type="pil", **STEPS).images
    found = generate.generate(pipe, [3, 8], **STEPS)
    for image, other in zip(found, expected, strict=True):
        assert (image.shape, image.dtype) == ((8, 8, 3), np.uint8)
        np.testing.assert_array_equal(image, np.asarray(other))


def test_a_sample_depends_on_its_seed_and_not_on_its_batch(pipe, ours, generate):
    seeds = [5, 0, 2**40, 7]
    together = generate.draw(pipe, seeds, scheduler=ours, **STEPS).images
    alone = [generate.draw(pipe, [seed], scheduler=ours, **STEPS).images[0] for seed in seeds]
    other = generate.draw(pipe, [7, 5], scheduler=ours, **STEPS).images
    # float32 through a network whose sums may be blocked differently for another batch
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(other, [together[3], together[0]], atol=1e-4)
    assert np.ptp(np.stack(together), axis=0).max() > 0.1  # the seeds do matter


def test_the_pipeline_keeps_its_own_scheduler_and_its_step(pipe, ours, generate):
    own = pipe.scheduler
    generate.generate(pipe, [1], scheduler=ours, **STEPS)
    assert pipe.scheduler is own
    assert "step" not in vars(ours)
    with pytest.raises(ValueError, match="num_inference_steps"):
        generate.generate(pipe, [1], scheduler=ours, num_inference_steps=0)
    assert pipe.scheduler is own
    assert "step" not in vars(ours)


def test_evaluations_are_counted_and_told(pipe, generate):
    from numdiff.adapters.diffusers import NumdiffScheduler

    heun = NumdiffScheduler.from_config(pipe.scheduler.config, method="heun")
    told = []
    drawn = generate.draw(pipe, [0, 1], scheduler=heun, tell=lambda *numbers: told.append(numbers), **STEPS)
    total = len(heun.timesteps)
    assert total > STEPS["num_inference_steps"]
    assert told == [(n + 1, total) for n in range(total)]
    assert drawn.nfe == total
    assert drawn.flagged == [False, False]


class Silent:
    """A pipeline that doesn't pass its generators on to the scheduler, with each sample twice, as DiT has it."""

    def __init__(self, scheduler, twice):
        self.scheduler, self.twice = scheduler, twice

    def __call__(self, generator=None, num_images_per_prompt=1, num_inference_steps=5, output_type="pil"):
        from diffusers.utils import BaseOutput

        x = torch.cat([torch.randn(1, 1, 2, 2, generator=one) for one in generator])
        self.scheduler.set_timesteps(num_inference_steps)
        for t in self.scheduler.timesteps:
            rows = torch.cat([x, x]) if self.twice else x
            x = self.scheduler.step(0.1 * rows, t, rows).prev_sample[: len(x)]
        return BaseOutput(images=(x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("twice", [False, True])
def test_generators_reach_the_scheduler_where_the_pipeline_forgets_them(ours, generate, twice):
    silent = Silent(ours, twice)
    first = generate.draw(silent, [4, 9]).images
    np.testing.assert_array_equal(generate.draw(silent, [4, 9]).images, first)
    np.testing.assert_array_equal(generate.draw(silent, [9]).images[0], first[1])


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.fixture
def spoilt(pipe, monkeypatch):
    """Let the network return something else at its evaluation number `at`."""

    def spoil(at, value):
        forward, calls = pipe.unet.forward, [0]

        def broken(*args, **options):
            found = forward(*args, **options)
            calls[0] += 1
            if calls[0] == at:
                found.sample[-1, 0, 0, 0] = value
            return found

        monkeypatch.setattr(pipe.unet, "forward", broken)

    return spoil


@pytest.mark.parametrize(("at", "value"), [(1, float("nan")), (3, float("inf")), (5, float("-inf"))])
def test_the_first_output_that_is_not_finite_is_named(pipe, ours, generate, spoilt, at, value):
    spoilt(at, value)
    message = rf"NaN or infinity at step {at} \(timestep {int(1000 - 200 * at)}\).*use dtype=bfloat16"
    with pytest.raises(generate.NotFiniteError, match=message):
        generate.generate(pipe, [0, 1], scheduler=ours, **STEPS)


def test_on_an_accelerator_flags_are_read_once_at_the_end(generate):
    class Elsewhere:
        """What the watch reads of a tensor that lies on an accelerator."""

        device = torch.device("cuda")

        def __init__(self, *values):
            self.values = torch.tensor(values)

        def sum(self, dtype):
            return self.values.sum(dtype=dtype)

    watch = generate.Watch()
    for number, values in enumerate([(1.0, 2.0), (3e38, 1.0), (1.0, float("nan")), (float("inf"), float("-inf"))]):
        watch.see(Elsewhere(*values), 900 - 100 * number)  # nothing is raised, nothing read
    with pytest.raises(generate.NotFiniteError, match=r"at step 3 \(timestep 700\)"):
        watch.check()


def test_a_decoder_that_overflows_is_not_the_network(pipe, generate):
    class Decoding:
        scheduler = pipe.scheduler

        def __call__(self, generator=None, num_images_per_prompt=1):
            from diffusers.utils import BaseOutput

            return BaseOutput(images=np.stack([np.zeros((2, 2, 3)), np.full((2, 2, 3), np.nan)]))

    with pytest.raises(generate.NotFiniteError, match="the decoder made NaN or infinity of sample 1"):
        generate.generate(Decoding(), [0, 1])


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_known_by_its_three_names(pipe, generate, monkeypatch, error):
    def forward(*args, **options):
        raise error

    monkeypatch.setattr(pipe.unet, "forward", forward)
    monkeypatch.setattr(generate, "release", lambda: None)  # collecting garbage takes a second in a large process
    with pytest.raises(generate.OutOfMemoryError, match="a batch of 2 does not fit into memory"):
        generate.generate(pipe, [0, 1], **STEPS)


def test_other_errors_of_torch_are_left_as_they_are(pipe, generate, monkeypatch):
    def forward(*args, **options):
        raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")

    monkeypatch.setattr(pipe.unet, "forward", forward)
    with pytest.raises(RuntimeError, match="size of tensor a"):
        generate.generate(pipe, [0], **STEPS)


def test_a_pipeline_without_images_says_what_it_has(pipe, generate):
    class Sound:
        scheduler = pipe.scheduler

        def __call__(self, generator=None):
            from diffusers.utils import BaseOutput

            return BaseOutput(audios=np.zeros((1, 8)))

    with pytest.raises(ValueError, match="Sound draws no images but audios"):
        generate.generate(Sound(), [0])
    with pytest.raises(ValueError, match="Sound draws one image a call"):
        generate.generate(Sound(), [0, 1])


# --- what is wanted ---------------------------------------------------------------------------------------------------


class Text:
    def __call__(self, prompt=None, negative_prompt=None, height=None, width=None, guidance_scale=7.5, generator=None):
        """A call like that of a text-to-image pipeline."""


class Picture:
    def __call__(self, prompt=None, image=None, strength=0.8, generator=None):
        """A call like that of an image-to-image pipeline."""


class Paint:
    def __call__(self, prompt=None, image=None, mask_image=None, height=None, width=None, generator=None):
        """A call like that of an inpainting pipeline."""


class Class:
    def __call__(self, class_labels, guidance_scale=4.0, generator=None):
        """A call like DiT's."""


@pytest.mark.parametrize(
    ("kind", "wanted", "message"),
    [
        (Text, {}, "prompt is missing: Text draws what a text says"),
        (Text, {"prompt": "a", "strength": 0.5}, "Text takes no strength: it does not begin with an image"),
        (Text, {"prompt": "a", "class_labels": 3}, "takes no class_labels: it draws without classes; drop it"),
        (Text, {"prompt": "a", "clip_skip": 1}, "takes no clip_skip: its call has no clip_skip"),
        (Picture, {"prompt": "a"}, "image is missing: Picture begins with an image"),
        (Picture, {"prompt": "a", "size": (8, 8)}, "image is missing"),
        (Paint, {"prompt": "a", "image": 1}, "mask_image is missing: Paint paints within a mask"),
        (Class, {}, "class_labels is missing: Class draws a class by its number"),
        (Class, {"class_labels": 1, "prompt": "a"}, "Class takes no prompt: it draws without a text"),
        (Class, {"class_labels": 1, "size": (8, 8)}, "takes no size: its network draws one size; drop it"),
    ],
)
def test_what_a_call_does_not_take_or_does_not_do_without(pipe, kind, wanted, message):
    from numdiff.adapters.pipelines.calls import fitted

    with pytest.raises(ValueError, match=message):
        fitted(kind(), wanted)


def test_a_size_is_the_call_s_or_the_image_s(pipe):
    from numdiff.adapters.pipelines.calls import fitted

    _, call = fitted(Text(), {"prompt": "a", "size": (24, 16), "negative_prompt": None})
    assert call == {"prompt": "a", "height": 16, "width": 24}
    _, call = fitted(Picture(), {"prompt": "a", "size": (24, 16), "image": pipelines.picture()})
    assert call["image"].size == (24, 16)
    assert "height" not in call
    both = {"image": pipelines.picture(), "mask_image": pipelines.mask()}
    _, call = fitted(Paint(), {"prompt": "a", "size": (24, 16), **both})
    assert (call["image"].size, call["mask_image"].size, call["height"], call["width"]) == ((24, 16), (24, 16), 16, 24)
    assert set(np.unique(call["mask_image"])) == {0, 255}  # a mask has no greys between


class Within:
    """A call whose error comes from its own code, or from the scheduler that it was given."""

    def __init__(self, scheduler):
        self.scheduler = scheduler

    def __call__(self, scale=1.0, num_inference_steps=2, generator=None):
        if scale > 0.5:
            self.scheduler.set_timesteps(num_inference_steps)
            self.scheduler.step(torch.zeros(1, 3), None, None)


def test_errors_of_the_pipeline_s_own_code_are_told_from_those_of_our_scheduler(ours, generate):
    found = []
    for scale in ("abc", 1.0):
        with pytest.raises((TypeError, AttributeError)) as caught:
            generate.draw(Within(ours), [0], scale=scale)
        found.append(generate.is_pipelines(caught.value))
    assert found == [True, False]


def test_sizes_and_classes_are_those_that_the_networks_can_do(pipe):
    from types import SimpleNamespace

    from numdiff.adapters.pipelines.calls import check_classes, fitted

    packed = Text()
    packed.vae, packed.vae_scale_factor, config = object(), 8, SimpleNamespace(patch_size=1, num_embeds_ada_norm=10)
    packed.transformer = SimpleNamespace(config=config)
    packed.image_processor = SimpleNamespace(config={"vae_scale_factor": 16})
    with pytest.raises(ValueError, match="size 40x16: width and height of Text are multiples of 16; use 32x16"):
        fitted(packed, {"prompt": "a", "size": (40, 16)})
    check_classes(packed, [0, 9])
    with pytest.raises(ValueError, match="class_labels 10 is no class of this pipeline; it draws 0 to 9"):
        check_classes(packed, [0, 10])


def test_lists_must_be_as_long_as_the_seeds(generate):
    silent = Text()
    silent.scheduler = None
    with pytest.raises(ValueError, match="prompt has 2 entries for 3 seeds; give one for all, or one each"):
        generate.generate(silent, [0, 1, 2], prompt=["a", "b"])


# --- real pipelines ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dit", "sd", "sd-img2img", "sd-inpaint", "sdxl", "sd3", "flux"])
@pytest.mark.parametrize("method", ["ghvb", "ancestral"])
def test_every_pipeline_draws_each_sample_alone_as_in_its_batch(generate, name, method):
    from numdiff.adapters.diffusers import NumdiffScheduler

    pipe = pipelines.tiny(name)
    options = {"order": 2, "beta": 0.8} if method == "ghvb" else {}
    scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, method=method, method_options=options)
    arguments = {**pipelines.arguments(name, 1), "num_inference_steps": 4}
    arguments |= {key: arguments[key][0] for key in ("prompt", "class_labels") if key in arguments}
    together = generate.draw(pipe, [0, 1, 2], scheduler=scheduler, **arguments).images
    alone = [generate.draw(pipe, [seed], scheduler=scheduler, **arguments).images[0] for seed in range(3)]
    # float32 through a network with attention, whose sums are blocked differently for another batch
    np.testing.assert_allclose(together, alone, atol=2e-3)
    assert np.ptp(np.stack(together), axis=0).max() > 0.01


@pytest.mark.slow
def test_a_text_pipeline_becomes_its_sibling_where_an_image_is_given(generate):
    import diffusers

    from numdiff.adapters.pipelines.calls import fitted

    pipe, picture, mask = pipelines.tiny("sd"), pipelines.picture(), pipelines.mask()
    wanted = {"prompt": "a fox", "image": picture, "strength": 0.5, "num_inference_steps": 4}
    to_image, call = fitted(pipe, wanted)
    assert type(to_image) is diffusers.StableDiffusionImg2ImgPipeline
    assert to_image.unet is pipe.unet
    expected = to_image(**wanted, generator=torch.Generator().manual_seed(3), output_type="np").images[0]
    np.testing.assert_array_equal(generate.draw(to_image, [3], **call).images[0], expected)
    painting, _ = fitted(pipe, {**wanted, "mask_image": mask})
    assert type(painting) is diffusers.StableDiffusionInpaintPipeline
    with pytest.raises(ValueError, match="DDPMPipeline takes no image: diffusers knows no pipeline of its kind"):
        fitted(pipelines.tiny("ddpm"), {"image": picture})
    with pytest.raises(ValueError, match="StableDiffusionPipeline takes no --strength"):
        fitted(pipe, {"prompt": "a", "strength": 0.5}, lambda name: f"--{name}")


@pytest.mark.slow
def test_slicing_changes_the_memory_and_not_the_samples(generate):
    from numdiff.adapters.pipelines.memory import offload, slice_parts

    pipe, call = pipelines.tiny("sd"), {"prompt": "a fox", "height": 16, "width": 16, **STEPS}
    plain = generate.draw(pipe, [0, 1], **call).images
    assert slice_parts(pipe) == ["decoding", "attention"]
    # the same sums in other blocks, in float32 over five steps
    np.testing.assert_allclose(generate.draw(pipe, [0, 1], **call).images, plain, atol=1e-3)
    with pytest.raises(ValueError, match="device is the CPU; drop offload"):
        offload(pipe, torch.device("cpu"))
