"""Lc0's net file as protobuf messages, so that a rewrite loses no field, not even unknown ones.

The messages are built here at import from one table instead of by a generated module. Two things
differ from lc0's own ``proto/net.proto`` (field numbers as of lc0 0.33), none of them visible in
the bytes: enumerations are plain ``int32``, because a closed enumeration would drop a value that
is newer than we are without a word; and ``string`` is ``bytes``, because a licence in the wrong
encoding is no reason to refuse a net.
"""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

# message -> its fields, "number type name"; a star marks a repeated field.
_MESSAGES = {
    "EngineVersion": "1 uint32 major, 2 uint32 minor, 3 uint32 patch",
    "Layer": ("1 float min_val, 2 float max_val, 3 bytes params, 4 int32 encoding, 5 uint32* dims"),
    "ConvBlock": (
        "1 Layer weights, 2 Layer biases, 3 Layer bn_means, 4 Layer bn_stddivs,"
        "5 Layer bn_gammas, 6 Layer bn_betas"
    ),
    "SEunit": "1 Layer w1, 2 Layer b1, 3 Layer w2, 4 Layer b2",
    "Residual": "1 ConvBlock conv1, 2 ConvBlock conv2, 3 SEunit se",
    "Smolgen": (
        "1 Layer compress, 2 Layer dense1_w, 3 Layer dense1_b, 4 Layer ln1_gammas,"
        "5 Layer ln1_betas, 6 Layer dense2_w, 7 Layer dense2_b, 8 Layer ln2_gammas,"
        "9 Layer ln2_betas"
    ),
    "MHA": (
        "1 Layer q_w, 2 Layer q_b, 3 Layer k_w, 4 Layer k_b, 5 Layer v_w, 6 Layer v_b,"
        "7 Layer dense_w, 8 Layer dense_b, 9 Smolgen smolgen,"
        "10 Layer rpe_q, 11 Layer rpe_k, 12 Layer rpe_v"
    ),
    "FFN": "1 Layer dense1_w, 2 Layer dense1_b, 3 Layer dense2_w, 4 Layer dense2_b",
    "EncoderLayer": (
        "1 MHA mha, 2 Layer ln1_gammas, 3 Layer ln1_betas, 4 FFN ffn,"
        "5 Layer ln2_gammas, 6 Layer ln2_betas"
    ),
    "PolicyHead": (
        "1 Layer ip_pol_w, 2 Layer ip_pol_b, 3 Layer ip2_pol_w, 4 Layer ip2_pol_b,"
        "5 Layer ip3_pol_w, 6 Layer ip3_pol_b, 7 Layer ip4_pol_w,"
        "8 EncoderLayer* pol_encoder, 9 uint32 pol_headcount, 10 ConvBlock policy1,"
        "11 ConvBlock policy"
    ),
    "PolicyHeadMap": "1 bytes key, 2 PolicyHead value",
    "PolicyHeads": (
        "1 Layer ip_pol_w, 2 Layer ip_pol_b, 3 PolicyHead vanilla, 4 PolicyHead optimistic_st,"
        "5 PolicyHead soft, 6 PolicyHead opponent, 7 PolicyHeadMap* policy_head_map"
    ),
    "ValueHead": (
        "1 Layer ip_val_w, 2 Layer ip_val_b, 3 Layer ip1_val_w, 4 Layer ip1_val_b,"
        "5 Layer ip2_val_w, 6 Layer ip2_val_b, 7 Layer ip_val_err_w, 8 Layer ip_val_err_b,"
        "9 Layer ip_val_cat_w, 10 Layer ip_val_cat_b, 11 ConvBlock value"
    ),
    "ValueHeadMap": "1 bytes key, 2 ValueHead value",
    "ValueHeads": (
        "1 ValueHead winner, 2 ValueHead q, 3 ValueHead st, 4 ValueHeadMap* value_head_map"
    ),
    "Weights": (
        "1 ConvBlock input, 2 Residual* residual, 3 ConvBlock policy, 4 Layer ip_pol_w,"
        "5 Layer ip_pol_b, 6 ConvBlock value, 7 Layer ip1_val_w, 8 Layer ip1_val_b,"
        "9 Layer ip2_val_w, 10 Layer ip2_val_b, 11 ConvBlock policy1, 12 ConvBlock moves_left,"
        "13 Layer ip1_mov_w, 14 Layer ip1_mov_b, 15 Layer ip2_mov_w, 16 Layer ip2_mov_b,"
        "17 Layer ip2_pol_w, 18 Layer ip2_pol_b, 19 Layer ip3_pol_w, 20 Layer ip3_pol_b,"
        "21 EncoderLayer* pol_encoder, 22 Layer ip4_pol_w, 24 uint32 pol_headcount,"
        "25 Layer ip_emb_w, 26 Layer ip_emb_b, 27 EncoderLayer* encoder, 28 uint32 headcount,"
        "29 Layer ip_val_w, 30 Layer ip_val_b, 31 Layer ip_mov_w, 32 Layer ip_mov_b,"
        "33 Layer ip_mult_gate, 34 Layer ip_add_gate, 35 Layer smolgen_w, 36 Layer smolgen_b,"
        "37 Layer ip_emb_preproc_w, 38 Layer ip_emb_preproc_b, 39 Layer ip_emb_ln_gammas,"
        "40 Layer ip_emb_ln_betas, 41 FFN ip_emb_ffn, 42 Layer ip_emb_ffn_ln_gammas,"
        "43 Layer ip_emb_ffn_ln_betas, 44 ValueHeads value_heads, 45 PolicyHeads policy_heads"
    ),
    "TrainingParams": (
        "1 uint32 training_steps, 2 float learning_rate, 3 float mse_loss, 4 float policy_loss,"
        "5 float accuracy, 6 bytes lc0_params"
    ),
    "NetworkFormat": (
        "1 int32 input, 2 int32 output, 3 int32 network, 4 int32 policy, 5 int32 value,"
        "6 int32 moves_left, 7 int32 default_activation, 8 int32 smolgen_activation,"
        "9 int32 ffn_activation, 10 int32 input_embedding"
    ),
    "Format": "1 int32 weights_encoding, 2 NetworkFormat network_format",
    "OnnxModel": (
        "1 bytes model, 2 int32 data_type, 3 bytes input_planes, 4 bytes output_value,"
        "5 bytes output_wdl, 6 bytes output_policy, 7 bytes output_mlh"
    ),
    "Net": (
        "1 fixed32 magic, 2 bytes license, 3 EngineVersion min_version, 4 Format format,"
        "5 TrainingParams training_params, 10 Weights weights, 11 OnnxModel onnx_model"
    ),
}

_SCALARS = {
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "fixed32": FieldDescriptorProto.TYPE_FIXED32,
}


def _message_class(name: str) -> type[Message]:
    """The class of message ``name`` with all that it contains, in a pool of its own."""
    file = FileDescriptorProto(name="lc0_net.proto", package="lc0", syntax="proto2")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for row in fields.split(","):
            number, kind, field_name = row.split()
            repeated, kind = kind.endswith("*"), kind.rstrip("*")
            field = message.field.add(name=field_name, number=int(number))
            field.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if repeated
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".lc0.{kind}"
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(f"lc0.{name}"))


NetMessage: type[Message] = _message_class("Net")
"""A whole net file; ``NetMessage.FromString`` parses, ``SerializeToString`` writes."""
