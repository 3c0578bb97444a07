"""Optimizers over a net's parameters, and which of these are kept small.

lczero-training regularises the kernels of all layers, and of biases those of the heads' last
layers: policy and value (tf/tfprocess.py, ``kernel_regularizer`` and ``bias_regularizer``); batch
norms, the other biases and squeeze-excitation's are left alone.

- ``sgd``: torch's, with momentum and Nesterov's look ahead; a weight decay of d adds d w to the
  gradient, which is the loss d / 2 times the sum of w^2, after gradients were clipped (lczero's
  are clipped with it). torch keeps gradients in its momentum where Keras keeps steps: the same but
  while the rate changes.
- ``adamw``: decoupled, w is made smaller by rate times d (Loshchilov & Hutter, "Decoupled Weight
  Decay Regularization", 2019, arXiv 1711.05101).
"""

from __future__ import annotations

import torch
from torch import nn

from swa.train_config import TrainingSettings

DECAYED_BIASES = (
    "policy.dense.bias",
    "policy.conv2.bias",
    "value.dense2.bias",
)
"""Of the last layers of heads, where a net has them."""


def is_decayed(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay acts on a parameter of ``swa.model.Tower``."""
    return parameter.dim() > 1 or name in DECAYED_BIASES


def make_optimizer(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer of a module's parameters; its rate is set before each step."""
    named = list(module.named_parameters())
    decayed = [parameter for name, parameter in named if is_decayed(name, parameter)]
    others = [parameter for name, parameter in named if not is_decayed(name, parameter)]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if settings.optimizer == "adamw":
        betas = (settings.beta1, settings.beta2)
        return torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=settings.epsilon)
    return torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum, nesterov=settings.nesterov)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate
