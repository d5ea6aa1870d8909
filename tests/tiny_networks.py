"""The parts of tiny pipelines: denoisers, autoencoder, text encoders and tokenizers with a few thousand weights each.

Weights depend on a seed only. diffusers and transformers are imported by the first call.
"""

from typing import Any

import torch

PIXELS = 16
"""Height and width of every image but ddpm's, whose network has 8 pixels; latents have half as many."""

DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
"""The noise levels of Stable Diffusion."""

TOKENS, WIDTH = 24, 16
"""Length of a prompt in tokens and width of each CLIP text encoder."""


def _seeded(kind: Any, seed: int, *args: Any, **options: Any) -> Any:
    """Build a network with weights that depend on `seed` only."""
    torch.manual_seed(seed)
    return kind(*args, **options)


# --- denoisers ------------------------------------------------------------------------------------------------------


def _scheduler(name: str, **settings: Any) -> Any:
    """Return a scheduler of diffusers as it is read from a folder, where its configuration names its class."""
    import diffusers

    return getattr(diffusers, name).from_config({"_class_name": name, **settings})


def ddpm() -> Any:
    import diffusers

    unet = _seeded(
        diffusers.UNet2DModel,
        1,
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return diffusers.DDPMPipeline(unet=unet, scheduler=_scheduler("DDPMScheduler"))


def ddim() -> Any:
    import diffusers

    return diffusers.DDIMPipeline(unet=ddpm().unet, scheduler=_scheduler("DDIMScheduler"))


def dit() -> Any:
    import diffusers

    transformer = _seeded(
        diffusers.DiTTransformer2DModel,
        2,
        sample_size=8,
        in_channels=4,
        out_channels=8,  # with the variances, which the pipeline drops
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=8,
        patch_size=2,
        num_embeds_ada_norm=1000,
    )
    scheduler = _scheduler("DDIMScheduler", clip_sample=False, beta_schedule="linear")
    labels = {n: f"class {n}" for n in range(1000)}
    return diffusers.DiTPipeline(transformer=transformer, vae=_vae(), scheduler=scheduler, id2label=labels)


def _unet(**options: Any) -> Any:
    import diffusers

    return _seeded(
        diffusers.UNet2DConditionModel,
        3,
        **{
            "sample_size": PIXELS // 2,
            "block_out_channels": (8, 16),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "attention_head_dim": 4,
            "cross_attention_dim": WIDTH,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            **options,
        },
    )


def sd(pipeline: str = "StableDiffusionPipeline", channels: int = 4, **options: Any) -> Any:
    import diffusers

    return getattr(diffusers, pipeline)(
        vae=_vae(),
        unet=_unet(in_channels=channels, **options),
        text_encoder=_clip(4),
        tokenizer=_clip_tokenizer(),
        scheduler=_scheduler("LCMScheduler", **DIFFUSION)
        if pipeline.startswith("Latent")
        else _scheduler("PNDMScheduler", **DIFFUSION, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl() -> Any:
    import diffusers

    unet = _unet(
        cross_attention_dim=2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(),
        unet=unet,
        text_encoder=_clip(4),
        text_encoder_2=_clip(5, projection=True),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        scheduler=_scheduler("EulerDiscreteScheduler", **DIFFUSION, timestep_spacing="leading", steps_offset=1),
        add_watermarker=False,
    )


def sd3() -> Any:
    import diffusers

    transformer = _seeded(
        diffusers.SD3Transformer2DModel,
        6,
        sample_size=PIXELS // 2,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=8,
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer,
        vae=_vae(shift_factor=0.06, scaling_factor=1.5305, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip(4, projection=True),
        text_encoder_2=_clip(5, projection=True),
        text_encoder_3=_t5(),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        tokenizer_3=_t5_tokenizer(),
        scheduler=_scheduler("FlowMatchEulerDiscreteScheduler", shift=3.0),
    )


def flux() -> Any:
    import diffusers

    transformer = _seeded(
        diffusers.FluxTransformer2DModel,
        7,
        patch_size=1,
        in_channels=16,  # two by two latent pixels of four channels
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return diffusers.FluxPipeline(
        transformer=transformer,
        vae=_vae(shift_factor=0.1159, scaling_factor=0.3611, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip(4),
        text_encoder_2=_t5(),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_t5_tokenizer(),
        scheduler=_scheduler("FlowMatchEulerDiscreteScheduler", shift=3.0, use_dynamic_shifting=True),
    )


def pixart() -> Any:
    import diffusers

    transformer = _seeded(
        diffusers.PixArtTransformer2DModel,
        8,
        sample_size=PIXELS // 2,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_channels=2 * WIDTH,
        in_channels=4,
        cross_attention_dim=16,
        out_channels=8,
        norm_type="ada_norm_single",
        use_additional_conditions=False,
    )
    return diffusers.PixArtSigmaPipeline(
        transformer=transformer,
        vae=_vae(),
        text_encoder=_t5(),
        tokenizer=_t5_tokenizer(),
        scheduler=_scheduler("DPMSolverMultistepScheduler"),
    )


def rebuilt(pipeline: str, pipe: Any) -> Any:
    """Return another pipeline of the same parts."""
    import diffusers

    return getattr(diffusers, pipeline)(**pipe.components)


# --- what surrounds them --------------------------------------------------------------------------------------------


def _vae(**options: Any) -> Any:
    import diffusers

    return _seeded(
        diffusers.AutoencoderKL,
        9,
        sample_size=PIXELS,
        block_out_channels=(4, 8),
        latent_channels=4,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        **options,
    )


def _clip(seed: int, projection: bool = False) -> Any:
    import transformers

    config = transformers.CLIPTextConfig(
        vocab_size=514,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return _seeded(transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel, seed, config)


def _t5() -> Any:
    import transformers

    config = transformers.T5Config(
        vocab_size=104, d_model=2 * WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    return _seeded(transformers.T5EncoderModel, 10, config)


def _clip_tokenizer() -> Any:
    """Return CLIP's tokenizer without merges: one token for each byte, which is what its vocabulary begins with."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: n for n, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TOKENS)


def _t5_tokenizer() -> Any:
    """Return T5's tokenizer with single characters for its pieces."""
    import string

    import transformers

    characters = [("▁", -2.0), *((c, -3.0) for c in string.ascii_letters + string.digits + string.punctuation)]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return transformers.T5Tokenizer(vocab=[*special, *characters], extra_ids=0, model_max_length=TOKENS)
