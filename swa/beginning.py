"""The net that training starts from: fresh weights of a seed, or a file's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from swa.latest import resolve_net
from swa.model import Tower, weights_of
from swa.net import Net, load_net, new_net
from swa.settings import SettingsError, key_of
from swa.spec import (
    Activation,
    MovesLeftSpec,
    NetSpec,
    PolicyKind,
    PolicySpec,
    ValueKind,
    ValueSpec,
)
from swa.train_config import NetSettings, TrainConfig

SE_RATIO = 8
"""Filters for one of the squeeze where nothing is said, at least one."""

POLICY_CHANNELS, VALUE_CHANNELS, MOVES_LEFT_CHANNELS, HIDDEN = 32, 32, 8, 128
"""Widths of heads as in lczero-training (tf/tfprocess.py); of 8 and 128 the moves-left head's."""

FIRST_PLIES = 20.0
"""What a new net says of moves left, about. They end in a ReLU: one that began below 0 at all
positions, as some seeds would from 0, has no gradient and would never say anything else."""

_TRUNCATED = 0.87962566103423978
"""The standard deviation of a normal distribution that is cut off at two of its own."""


def first_net(config: TrainConfig, note: Callable[[str], None] = lambda _: None) -> Net:
    """The net before the first step; ``note`` is told what ``latest:`` has come to.

    Raises NetError or SettingsError where there is none.
    """
    settings = config.net
    if settings.start is None:
        spec = make_spec(settings)
        return new_net(spec, fresh_weights(spec, config.seed), config.name)
    net = load_net(resolve_net(settings.start, note))
    _check_fit(settings, net)
    message = type(net.message)()
    message.CopyFrom(net.message)
    # What was measured of its weights is not true of those to come.
    for figure in ("mse_loss", "policy_loss", "accuracy"):
        message.training_params.ClearField(figure)  # type: ignore[attr-defined]
    return replace(net, message=message, sha256="", name=config.name, training_steps=0)


def _check_fit(settings: NetSettings, net: Net) -> None:
    """Raise SettingsError where the settings say anything else than the file."""
    spec, moves_left = net.spec, net.spec.moves_left
    found = {
        "blocks": spec.blocks,
        "filters": spec.filters,
        "se": spec.se,
        "se_ratio": spec.filters // spec.se if spec.se else None,
        "policy": spec.policy.kind.value,
        "value": spec.value.kind.value,
        "moves_left": moves_left is not None,
        "activation": spec.activation.value,
        "policy_channels": spec.policy.channels,
        "value_channels": spec.value.channels,
        "value_hidden": spec.value.hidden,
        "moves_left_channels": moves_left.channels if moves_left else None,
        "moves_left_hidden": moves_left.hidden if moves_left else None,
    }
    for name, here in found.items():
        wanted = getattr(settings, name)
        if wanted is not None and wanted != here:
            raise SettingsError(
                f"net.{key_of(name)}: is {_said(wanted)}, but the net to start from has "
                f"{_said(here)}: {net.path}\nLeave it out, or start from another net."
            )


def _said(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def make_spec(settings: NetSettings) -> NetSpec:
    """The kind of net that settings without a start describe."""
    filters = settings.filters or 1
    squeeze = settings.se
    if squeeze is None:
        squeeze = max(1, filters // (settings.se_ratio or SE_RATIO))
    convolution = settings.policy != "classical"
    channels = filters if convolution else settings.policy_channels or POLICY_CHANNELS
    if convolution and settings.policy_channels not in (None, filters):
        raise SettingsError(
            "net.policy-channels: a convolution policy has as many as filters\nLeave it out."
        )
    moves_left = MovesLeftSpec(
        settings.moves_left_channels or MOVES_LEFT_CHANNELS, settings.moves_left_hidden or HIDDEN
    )
    return NetSpec(
        blocks=settings.blocks or 1,
        filters=filters,
        se=squeeze,
        policy=PolicySpec(PolicyKind(settings.policy or "convolution"), channels),
        value=ValueSpec(
            ValueKind(settings.value or "wdl"),
            settings.value_channels or VALUE_CHANNELS,
            settings.value_hidden or HIDDEN,
        ),
        moves_left=None if settings.moves_left is False else moves_left,
        activation=Activation(settings.activation or "relu"),
    )


def fresh_weights(spec: NetSpec, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights of a new net, by the names of ``swa.spec.parameters``.

    As in lczero-training (tf/tfprocess.py, ``glorot_normal`` of Keras): kernels are normal, cut off
    at two standard deviations, with a variance of 2 / (inputs + outputs) (Glorot & Bengio, 2010),
    biases and beta 0, gamma 1. Unlike there every batch norm has a gamma (with ReLU it changes
    nothing that the next layer could not do), and moves left begin at ``FIRST_PLIES``.
    """
    module, dice = Tower(spec), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                _glorot(parameter, dice)
            elif name.endswith(".bias"):
                parameter.fill_(FIRST_PLIES if name == "moves_left.dense2.bias" else 0.0)
    return weights_of(module)


def _glorot(kernel: nn.Parameter, dice: torch.Generator) -> None:
    squares = kernel[0, 0].numel()
    inputs, outputs = kernel.shape[1] * squares, kernel.shape[0] * squares
    deviation = math.sqrt(2 / (inputs + outputs)) / _TRUNCATED
    nn.init.trunc_normal_(kernel, 0.0, deviation, -2 * deviation, 2 * deviation, generator=dice)
