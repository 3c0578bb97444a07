"""The header of lc0's net file: which kind of net it is, with lc0's repairs of old files.

The numbers and names are those of lc0's proto/net.proto, the repairs and what is refused those of
src/neural/loader.cc and src/neural/backends/blas/network_blas.cc.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from swa.spec import POLICY_FIELDS, Activation, InputFormat, NetError

INPUT_FORMATS = {
    0: "INPUT_UNKNOWN",
    1: "INPUT_CLASSICAL_112_PLANE",
    2: "INPUT_112_WITH_CASTLING_PLANE",
    3: "INPUT_112_WITH_CANONICALIZATION",
    4: "INPUT_112_WITH_CANONICALIZATION_HECTOPLIES",
    5: "INPUT_112_WITH_CANONICALIZATION_V2",
    132: "INPUT_112_WITH_CANONICALIZATION_HECTOPLIES_ARMAGEDDON",
    133: "INPUT_112_WITH_CANONICALIZATION_V2_ARMAGEDDON",
}
NETWORKS = {
    0: "NETWORK_UNKNOWN",
    1: "NETWORK_CLASSICAL",
    2: "NETWORK_SE",
    3: "NETWORK_CLASSICAL_WITH_HEADFORMAT",
    4: "NETWORK_SE_WITH_HEADFORMAT",
    5: "NETWORK_ONNX",
    6: "NETWORK_ATTENTIONBODY_WITH_HEADFORMAT",
    7: "NETWORK_ATTENTIONBODY_WITH_MULTIHEADFORMAT",
    134: "NETWORK_AB_LEGACY_WITH_MULTIHEADFORMAT",
}
POLICIES = {
    0: "POLICY_UNKNOWN",
    1: "POLICY_CLASSICAL",
    2: "POLICY_CONVOLUTION",
    3: "POLICY_ATTENTION",
}
VALUES = {0: "VALUE_UNKNOWN", 1: "VALUE_CLASSICAL", 2: "VALUE_WDL", 3: "VALUE_PARAM"}
MOVES_LEFT = {0: "MOVES_LEFT_NONE", 1: "MOVES_LEFT_V1"}
DEFAULT_ACTIVATIONS = {0: "DEFAULT_ACTIVATION_RELU", 1: "DEFAULT_ACTIVATION_MISH"}
ACTIVATIONS = {
    0: "ACTIVATION_DEFAULT",
    1: "ACTIVATION_MISH",
    2: "ACTIVATION_RELU",
    3: "ACTIVATION_NONE",
    4: "ACTIVATION_TANH",
    5: "ACTIVATION_SIGMOID",
    6: "ACTIVATION_SELU",
    7: "ACTIVATION_SWISH",
    8: "ACTIVATION_RELU_2",
    9: "ACTIVATION_SOFTMAX",
}
INPUT_EMBEDDINGS = {
    0: "INPUT_EMBEDDING_NONE",
    1: "INPUT_EMBEDDING_PE_MAP",
    2: "INPUT_EMBEDDING_PE_DENSE",
}

DAMAGED = "The file is damaged or incomplete: download or copy it again."
NOT_SUPPORTED = "This kind of net is not supported."

ATTENTION_BODIES = (6, 7)
"""Values of ``network`` after the repairs that mean an attention body."""

_DEFAULT = 0  # of activations that a layer may have of its own: the net's


class NetworkFormat(NamedTuple):
    """The header's numbers, after lc0's repairs of old files."""

    input: int
    network: int
    policy: int
    value: int
    moves_left: int
    activation: int  # of the whole net: a key of DEFAULT_ACTIVATIONS
    smolgen_activation: int  # keys of ACTIVATIONS
    ffn_activation: int
    input_embedding: int

    @property
    def attention_body(self) -> bool:
        """Whether encoders are the body, or its end."""
        return self.network in ATTENTION_BODIES

    @property
    def net_activation(self) -> Activation:
        """That of the whole net."""
        return Activation.MISH if self.activation == 1 else Activation.RELU

    def resolved(self, activation: int) -> Activation:
        """A layer's own activation, or the net's where it has none."""
        if activation == _DEFAULT:
            return self.net_activation
        return Activation(ACTIVATIONS[activation].removeprefix("ACTIVATION_").lower())


def network_format(net: Any) -> NetworkFormat:
    """What the header says, with lc0's repairs (lc0 src/neural/loader.cc, FixOlderWeightsFile)."""
    said, weights = net.format.network_format, net.weights
    header = NetworkFormat(
        input=said.input,
        network=said.network,
        policy=said.policy,
        value=said.value,
        moves_left=said.moves_left,
        activation=said.default_activation,
        smolgen_activation=said.smolgen_activation,
        ffn_activation=said.ffn_activation,
        input_embedding=said.input_embedding,
    )
    if not net.format.HasField("network_format"):
        header = header._replace(input=1, network=3, policy=1, value=1)
    elif header.network in (1, 2):
        header = header._replace(network=header.network + 2, policy=1, value=1)
    elif header.network == 4 and weights.encoder:
        header = header._replace(network=6)
        if weights.HasField("smolgen_w"):
            header = header._replace(ffn_activation=8, smolgen_activation=7)
    elif header.network == 134:
        header = header._replace(network=7)
    if header.network == 6:
        if weights.HasField("policy_heads") and weights.HasField("value_heads"):
            return header._replace(network=7, input_embedding=2)
        if not said.HasField("input_embedding"):
            return header._replace(input_embedding=1)
    return header


def refuse_unsupported(net: Any, header: NetworkFormat) -> None:
    """Raise NetError for a kind of net that is not read here, naming the field that says so."""
    if header.network == 5 or (net.HasField("onnx_model") and not net.HasField("weights")):
        raise NetError(
            "an ONNX net (network_format.network NETWORK_ONNX, onnx_model)",
            "Batch norm is folded away in ONNX: use the .pb.gz it was made from.",
        )
    if not net.HasField("weights"):
        raise NetError("no policy, value or any other weights: the file has none", DAMAGED)
    _refuse_relative_positions(net.weights)
    rows: list[tuple[str, int, dict[int, str], tuple[int, ...]]] = [
        ("network", header.network, NETWORKS, (3, 4, *ATTENTION_BODIES)),
        ("input", header.input, INPUT_FORMATS, tuple(InputFormat)),
        ("policy", header.policy, POLICIES, (1, 2, 3)),
        ("value", header.value, VALUES, (1, 2)),
        ("moves_left", header.moves_left, MOVES_LEFT, (0, 1)),
        ("default_activation", header.activation, DEFAULT_ACTIVATIONS, (0, 1)),
    ]
    if header.attention_body:
        # In a policy, where a convolutional net may have encoders, neither is looked at.
        known = tuple(range(9))
        rows += [
            ("smolgen_activation", header.smolgen_activation, ACTIVATIONS, known),
            ("ffn_activation", header.ffn_activation, ACTIVATIONS, known),
            ("input_embedding", header.input_embedding, INPUT_EMBEDDINGS, (0, 1, 2)),
        ]
    for field, number, names, supported in rows:
        if number not in supported:
            known_but = number in names and number != 0
            name = names.get(number, "a number unknown to lc0 0.33")
            raise NetError(
                f"network_format.{field} is {number} ({name})",
                NOT_SUPPORTED if known_but else DAMAGED,
            )
    if header.attention_body and header.policy != 3:
        raise NetError(
            f"network_format.policy is {header.policy} ({POLICIES[header.policy]}) on an attention "
            f"body (network_format.network {header.network})",
            "Only attention policies (POLICY_ATTENTION) go with it, in lc0 too.",
        )


def _refuse_relative_positions(weights: Any) -> None:
    heads = weights.policy_heads
    for where, encoders in (
        ("encoder", weights.encoder),
        ("pol_encoder", weights.pol_encoder),
        *(
            (f"policy_heads.{field}.pol_encoder", getattr(heads, field).pol_encoder)
            for field in POLICY_FIELDS.values()
        ),
    ):
        for encoder in encoders:
            for field in ("rpe_q", "rpe_k", "rpe_v"):
                if encoder.mha.HasField(field):
                    raise NetError(
                        f"relative position encodings ({where}.mha.{field})", NOT_SUPPORTED
                    )
