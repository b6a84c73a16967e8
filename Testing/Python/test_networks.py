"""Networks from their plans, and nnU-Net's weights in them."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="the networks' extra is not installed")

from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.networks import NetworkPlan, build  # noqa: E402
from LAScarSegLib.networks.from_nnunet import convert_state_dict, plan_from_nnunet  # noqa: E402
from LAScarSegLib.systems import SYSTEMS  # noqa: E402

nn = torch.nn

TINY = NetworkPlan(
    in_channels=2,
    out_channels=2,
    features=(4, 6, 8, 8),
    strides=((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 2, 2)),
    kernel_sizes=((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
)
ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 4,
        "features_per_stage": [4, 6, 8, 8],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]],
        "n_conv_per_stage": [2, 2, 2, 2],
        "n_conv_per_stage_decoder": [2, 2, 2],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
"""As nnU-Net v2.8 writes it to plans.json."""


class Block(nn.Module):
    """nnU-Net's ConvDropoutNormReLU: convolution with bias, instance norm, leaky ReLU, under its names."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding=[(k - 1) // 2 for k in kernel])
        self.norm = nn.InstanceNorm3d(outputs, eps=1e-5, affine=True)
        self.all_modules = nn.Sequential(self.conv, self.norm, nn.LeakyReLU(0.01))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.all_modules(x)


class Stack(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.Sequential(Block(inputs, outputs, kernel, stride), Block(outputs, outputs, kernel, (1, 1, 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convs(x)


class PlainConvUNet(nn.Module):
    """nnU-Net's network written out a second time, from its paper and its weights' names; no code shared with ours."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        f, last = (plan.in_channels, *plan.features), len(plan.features) - 1
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.stages = nn.Sequential(
            *[nn.Sequential(Stack(f[s], f[s + 1], plan.kernel_sizes[s], plan.strides[s])) for s in range(last + 1)]
        )
        self.decoder.encoder = self.encoder
        ups, stages, outputs = [], [], []
        for s in range(last - 1, -1, -1):
            ups.append(nn.ConvTranspose3d(plan.features[s + 1], plan.features[s], plan.strides[s + 1], plan.strides[s + 1]))
            stages.append(Stack(2 * plan.features[s], plan.features[s], plan.kernel_sizes[s], (1, 1, 1)))
            outputs.append(nn.Conv3d(plan.features[s], plan.out_channels, 1))
        self.decoder.stages, self.decoder.transpconvs = nn.ModuleList(stages), nn.ModuleList(ups)
        self.decoder.seg_layers = nn.ModuleList(outputs)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        skips = []
        for stage in self.encoder.stages:
            skips.append(x := stage(x))
        logits = []
        for step, stage in enumerate(self.decoder.stages):
            x = stage(torch.cat([self.decoder.transpconvs[step](x), skips[-2 - step]], 1))
            logits.append(self.decoder.seg_layers[step](x))
        return logits[::-1]


def with_random_weights(network: nn.Module) -> nn.Module:
    """Biases and norms too, which start at 0 and 1 and would hide what they do."""
    torch.manual_seed(5)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.1, 0.3)
    return network.train()


def test_the_network_is_monais_dynunet_where_both_are_the_same():
    """With one kernel size at every level, and without supervision, MONAI's decoder is nnU-Net's; the weights have its names."""
    DynUNet = pytest.importorskip("monai.networks.nets", reason="needs MONAI").DynUNet
    plan = dataclasses.replace(TINY, kernel_sizes=((3, 3, 3),) * 4, deep_supervision=False)
    theirs = DynUNet(
        3, 2, 2, plan.kernel_sizes, plan.strides, plan.strides[1:], plan.features, norm_name=("INSTANCE", {"affine": True}), trans_bias=True
    )  # fmt: skip
    with_random_weights(theirs)
    ours = build(plan).train()
    ours.load_state_dict({name: value for name, value in theirs.state_dict().items() if not name.startswith("skip_layers.")})
    x = torch.randn(2, 2, 8, 16, 16)
    torch.testing.assert_close(ours(x), theirs(x))


def test_nnunets_network_needs_no_monai():
    """It takes longer to load than torch, and whoever runs a model would wait for it."""
    code = (
        "import sys; sys.modules['monai'] = None\n"
        "from LAScarSegLib.networks import build\nfrom LAScarSegLib.systems import SYSTEMS\n"
        "import LAScarSegLib.inference.bundle_models\n"
        "build(SYSTEMS['two_stage_sdm'].cavity.preset('coarse').plan)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def real_plain_conv_unet(plan: NetworkPlan) -> nn.Module:
    unet = pytest.importorskip("dynamic_network_architectures.architectures.unet", reason="nnunetv2 is not in this environment")
    return unet.PlainConvUNet(
        plan.in_channels, len(plan.features), plan.features, nn.Conv3d, plan.kernel_sizes, plan.strides, (2,) * len(plan.features),
        plan.out_channels, (2,) * (len(plan.features) - 1), True, nn.InstanceNorm3d, {"eps": 1e-5, "affine": True}, None, None,
        nn.LeakyReLU, {"inplace": True}, deep_supervision=True,
    )  # fmt: skip


@pytest.mark.parametrize("make", [PlainConvUNet, real_plain_conv_unet])
def test_nnu_nets_weights_give_nnu_nets_output_at_every_level(make: type) -> None:
    theirs, ours = with_random_weights(make(TINY)), build(TINY)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), TINY), strict=True)
    x = torch.randn((1, 2, 8, 16, 24), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for a, b in zip(theirs(x), ours(x), strict=True):
            assert a.shape == b.shape
            # Float32 rounding only: the agreement promised for imported models.
            assert float((a.softmax(1) - b.softmax(1)).abs().max()) < 2e-6
            assert float((a - b).abs().max()) < 2e-6 * max(1.0, float(a.abs().max()))


def test_the_second_writing_of_plain_conv_unet_has_the_names_of_the_real_one() -> None:
    real = real_plain_conv_unet(TINY).state_dict()
    assert {k: v.shape for k, v in PlainConvUNet(TINY).state_dict().items()} == {k: v.shape for k, v in real.items()}


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod."])
def test_weights_saved_from_a_wrapped_network_are_recognised(wrapper: str) -> None:
    weights = PlainConvUNet(TINY).state_dict()
    wrapped = {wrapper + name: tensor for name, tensor in weights.items()}
    assert convert_state_dict(wrapped, TINY).keys() == convert_state_dict(weights, TINY).keys()


def test_without_deep_supervision_only_the_finest_output_is_taken() -> None:
    plan = dataclasses.replace(TINY, deep_supervision=False)
    theirs, ours = with_random_weights(PlainConvUNet(TINY)), build(plan)
    ours.load_state_dict(convert_state_dict(theirs.state_dict(), plan), strict=True)
    x = torch.ones((1, 2, 8, 16, 16))
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x)[0], atol=1e-5)


def test_weights_of_another_network_are_refused_by_name() -> None:
    weights = PlainConvUNet(TINY).state_dict()
    lacking = {k: v for k, v in weights.items() if k != "encoder.stages.1.0.convs.0.conv.weight"}
    with pytest.raises(InputError, match="lack 'encoder.stages.1.0.convs.0.conv.weight'"):
        convert_state_dict(lacking, TINY)
    with pytest.raises(InputError, match="also have 'encoder.stages.4.0.convs.0.conv.weight'"):
        convert_state_dict(weights | {"encoder.stages.4.0.convs.0.conv.weight": torch.zeros(1)}, TINY)


def test_a_plan_is_read_from_nnu_nets_plans() -> None:
    assert plan_from_nnunet({"architecture": ARCHITECTURE}, 2, 2) == TINY


def test_a_plan_is_read_from_the_plans_of_an_older_nnu_net() -> None:
    # nnU-Net 2.0–2.2, as its PlansManager translates them.
    old = {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 32,
        "unet_max_num_features": 320,
        "n_conv_per_stage_encoder": [2, 2, 2, 2, 2],
        "n_conv_per_stage_decoder": [2, 2, 2, 2],
        "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
        "pool_op_kernel_sizes": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2]],
    }
    plan = plan_from_nnunet(old, 1, 2)
    assert plan.features == (32, 64, 128, 256, 320) and plan.divisor == (8, 16, 16)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_conv_per_stage": [2, 2, 3, 2]}, "n_conv_per_stage"),
        ({"norm_op": "torch.nn.BatchNorm3d"}, "norm_op"),
        ({"conv_op": "torch.nn.Conv2d"}, "conv_op"),
        ({"nonlin": "torch.nn.ReLU"}, "nonlin"),
        ({"strides": 2}, "lists"),
    ],
)
def test_another_kind_of_nnu_net_is_refused_with_the_reason(change: dict, reason: str) -> None:
    architecture = ARCHITECTURE | {"arch_kwargs": ARCHITECTURE["arch_kwargs"] | change}
    with pytest.raises(InputError, match=reason):
        plan_from_nnunet({"architecture": architecture}, 2, 2)


def test_a_residual_encoder_and_a_damaged_plan_are_refused() -> None:
    residual = ARCHITECTURE | {"network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"}
    with pytest.raises(InputError, match="ResidualEncoderUNet"):
        plan_from_nnunet({"architecture": residual}, 2, 2)
    with pytest.raises(InputError, match="features_per_stage"):
        plan_from_nnunet({"architecture": ARCHITECTURE | {"arch_kwargs": {}}}, 2, 2)
    with pytest.raises(InputError, match="names no network"):
        plan_from_nnunet({"spacing": [1, 1, 1]}, 2, 2)


def test_a_plan_is_json_and_back() -> None:
    assert NetworkPlan.from_json(json.loads(json.dumps(TINY.to_json()))) == TINY


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": "swin"}, "known are dynunet"),
        ({"in_channels": 0}, "in_channels"),
        ({"features": [4, 6]}, "stages"),
        ({"features": [4, 6, 8, 8, 8]}, "one of each per stage"),
        ({"features": [4, 6, 8, 10**9]}, "whole number from 1 to 1024"),
        ({"strides": [[2, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]]}, "first stride"),
        ({"strides": [[1, 1, 1], [1, 2], [2, 2, 2], [1, 2, 2]]}, "strides"),
        ({"kernel_sizes": [[1, 3, 3], [2, 3, 3], [3, 3, 3], [3, 3, 3]]}, "kernel_sizes"),
        ({"features": 4}, "must be lists"),
        ({"deep_supervision": "no"}, "deep_supervision"),
        ({"dropout": 0.5}, "unknown dropout"),
    ],
)
def test_a_plan_that_cannot_be_built_is_refused(change: dict, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        NetworkPlan.from_json(TINY.to_json() | change)


def test_a_plan_without_features_is_refused() -> None:
    data = TINY.to_json()
    del data["features"]
    with pytest.raises(InputError, match="missing features"):
        NetworkPlan.from_json(data)


def test_the_same_seed_gives_the_same_network_and_leaves_torchs_own_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    a, b, c = build(TINY, 1).state_dict(), build(TINY, 1).state_dict(), build(TINY, 2).state_dict()
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["input_block.conv1.conv.weight"], c["input_block.conv1.conv.weight"])


def test_every_build_is_a_module_of_its_own() -> None:
    first, second = build(TINY, 1), build(TINY, 1)
    with torch.no_grad():
        first.output_block.conv.conv.bias.fill_(9.0)
    assert float(second.output_block.conv.conv.bias.detach().abs().max()) == 0.0


def test_weights_are_initialised_as_in_nnu_net() -> None:
    # Kaiming normal for a leaky ReLU of slope 0.01: SD = √(2 / (1 + 0.01²) / fan in).
    weight = build(SYSTEMS["two_stage_sdm"].cavity.preset("small").plan, 0).bottleneck.conv2.conv.weight
    fan_in = weight.shape[1] * 27
    assert float(weight.detach().std()) == pytest.approx((2 / 1.0001 / fan_in) ** 0.5, rel=0.01)


def test_in_training_every_level_speaks_at_its_own_resolution_and_in_evaluation_the_finest_alone() -> None:
    network, x = build(TINY, 0), torch.zeros((1, 2, 8, 16, 16))
    sizes = [tuple(level.shape) for level in network.train()(x)]
    assert sizes == [(1, 2, 8, 16, 16), (1, 2, 8, 8, 8), (1, 2, 4, 4, 4)]
    assert network.eval()(x).shape == (1, 2, 8, 16, 16)


def test_no_weight_has_two_names() -> None:
    weights = build(TINY, 0).state_dict()
    assert len({tensor.data_ptr() for tensor in weights.values()}) == len(weights)


def parameters_of(plan: NetworkPlan) -> int:
    """CavityCounts on paper: convolutions without bias, two numbers per channel of each norm, transposed convolutions and outputs with bias."""

    def two_blocks(inputs: int, outputs: int, kernel: tuple[int, ...]) -> int:
        return (inputs + outputs) * outputs * math.prod(kernel) + 4 * outputs

    inputs = (plan.in_channels, *plan.features[:-1])
    encoder = sum(map(two_blocks, inputs, plan.features, plan.kernel_sizes))
    levels = zip(plan.features, plan.features[1:], plan.strides[1:], plan.kernel_sizes)
    return encoder + sum(
        below * level * math.prod(stride) + level + two_blocks(2 * level, level, kernel) + (level + 1) * plan.out_channels
        for level, below, stride, kernel in levels
    )


@pytest.mark.parametrize(("key", "stage", "preset", "parameters"), [
    ("two_stage_sdm", "cavity", "small", 4_108_120),
    ("two_stage_sdm", "cavity", "coarse", 350_918),
    ("two_stage_sdm", "cavity", "fine", 4_108_120),
    ("two_stage_sdm", "scar", "small", 2_391_344),
    ("boundary_focused", "cavity", "small", 4_108_120),
    ("boundary_focused", "scar", "small", 2_391_272),
])  # fmt: skip
def test_the_small_networks_have_the_parameters_that_are_listed(key: str, stage: str, preset: str, parameters: int) -> None:
    plan = SYSTEMS[key].stage(stage).preset(preset).plan
    assert sum(p.numel() for p in build(plan, 0).parameters()) == parameters_of(plan) == parameters


def test_the_papers_network_has_nnu_nets_parameters() -> None:
    # nnU-Net v2.8.1's PlainConvUNet of its default 3d_fullres plan (24 × 256 × 256): 44,577,356, less the 5,120 biases in
    # front of instance norms.
    plan = SYSTEMS["two_stage_sdm"].cavity.preset("paper").plan
    assert plan.divisor == (4, 64, 64)
    with torch.device("meta"):
        assert sum(p.numel() for p in build(plan).parameters()) == 44_577_356 - 5_120


def test_every_preset_has_the_parameters_that_the_documentation_lists(repository) -> None:
    document = (repository / "Docs" / "systems.md").read_text(encoding="utf-8")
    for system in SYSTEMS.values():
        for stage in (stage for variants in system.stages.values() for stage in variants.values()):
            for name, preset in stage.presets.items():
                with torch.device("meta"):
                    count = sum(p.numel() for p in build(preset.plan).parameters())
                rows = [line for line in document.splitlines() if line.startswith(f"| `{name}`") and stage.key in line]
                numbers = (f"{count:,}", ", ".join(f"{n:g}" for n in preset.spacing_kji), ", ".join(map(str, preset.patch_kji)))
                assert any(all(number in row for number in numbers) for row in rows), (system.key, stage.variant, name, numbers)


@pytest.mark.parametrize("system", [SYSTEMS["two_stage_sdm"], SYSTEMS["boundary_focused"]], ids=lambda system: system.key)
@pytest.mark.parametrize("key", ["cavity", "scar"])
def test_each_stage_learns_one_patch_by_heart(system, key: str) -> None:
    stage = system.stage(key)
    plan = dataclasses.replace(TINY, in_channels=len(stage.channels), features=(8, 8, 8, 8))
    network, loss = build(plan, 0), stage.loss()
    x = torch.randn((1, len(stage.channels), 8, 16, 16), generator=torch.Generator().manual_seed(3))
    target = torch.zeros((1, 1, 8, 16, 16), dtype=torch.long)
    target[..., 4:12, 4:12] = 1
    region = torch.ones_like(target, dtype=torch.bool) if stage.region else None
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    values = []
    for _ in range(25):
        optimiser.zero_grad()
        value = loss(network(x), target, region)
        value.backward()
        optimiser.step()
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]
