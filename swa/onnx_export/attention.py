"""Attention bodies and attention policies as ONNX operators: ``swa.model.attention`` once more.

Squares are rows here, [batch * 64, numbers], so that every dense layer is one product of matrices
and its weights stay as the net file has them.
"""

from __future__ import annotations

import math

from swa.model.attention import EMBEDDING_EPSILON, POLICY_EPSILON, reached, residual_scale
from swa.onnx_export.graph import Graph
from swa.spec import (
    PIECE_PLANES,
    PLANES,
    SQUARES,
    Activation,
    AttentionBody,
    Embedding,
    EncoderSpec,
    NetSpec,
    PolicyEmbedding,
    SmolgenSpec,
    embedding_inputs,
)


def add_body(graph: Graph, spec: NetSpec, body: AttentionBody, x: str) -> str:
    """Append embedding and encoders: planes or a tower's channels to rows of ``body.size``."""
    x = _embedding(graph, spec, body, x)
    for number in range(body.encoders):
        x = _encoder(
            graph,
            f"encoders.{number}",
            body.encoder,
            x,
            scale=residual_scale(body),
            epsilon=body.epsilon,
            activations=(body.ffn_activation, body.smolgen_activation),
        )
    return x


def add_policy(graph: Graph, spec: NetSpec, head: str, x: str) -> str:
    """Append an attention policy up to all of its products [batch, 64 * 64 + 8 * 8 * 3].

    ``x`` is rows of an attention body, or a tower's channels [batch, filters, 8, 8].
    """
    policy, body = spec.policy, spec.attention
    if body is None:
        x = graph.rows(f"/{head}/squares", x, spec.filters)
    own = policy.embedding is PolicyEmbedding.OWN
    x = graph.dense(f"{head}.embedding" if own else "policy_embedding", x)
    x = graph.activate(x, spec.activation if body else Activation.SELU)
    activations = (
        (body.ffn_activation, body.smolgen_activation)
        if body
        else (Activation.SELU, Activation.NONE)
    )
    if policy.encoder:
        for number in range(policy.encoders):
            x = _encoder(
                graph,
                f"{head}.encoders.{number}",
                policy.encoder,
                x,
                scale=1.0,
                epsilon=POLICY_EPSILON,
                activations=activations,
            )
    return _policy_products(graph, head, policy.width, x)


def _policy_products(graph: Graph, head: str, width: int, x: str) -> str:
    at = f"/{head}"
    shape = [-1, SQUARES, width]
    query = graph.reshape(f"{at}/queries", graph.dense(f"{head}.query", x), shape)
    key = graph.reshape(f"{at}/keys", graph.dense(f"{head}.key", x), shape)
    turned = graph.node("Transpose", f"{at}/turned", key, perm=[0, 2, 1])
    products = graph.node("MatMul", f"{at}/products", query, turned)
    products = graph.scale(f"{at}/scaled", products, 1 / math.sqrt(width))
    # Of each target on the last rank: one shift a piece, and one for all pieces.
    last = graph.slice(f"{at}/last", key, 1, 56, 64)
    shifts = graph.dense(f"{head}.promotion", graph.reshape(f"{at}/files", last, [-1, width]))
    shifts = graph.reshape(f"{at}/shifts", shifts, [-1, 1, 8, 4])
    pieces, all_pieces = graph.split(f"{at}/pieces", shifts, 3, [3, 1])
    shifts = graph.node("Add", f"{at}/shift", pieces, all_pieces)
    promoting = graph.slice(f"{at}/seventh", products, 1, 48, 56)
    promoting = graph.slice(f"{at}/eighth", promoting, 2, 56, 64)
    promoting = graph.reshape(f"{at}/promoting", promoting, [-1, 8, 8, 1])
    promotions = graph.node("Add", f"{at}/promotions", promoting, shifts)
    parts = (
        graph.node("Flatten", f"{at}/plain", products),
        graph.node("Flatten", f"{at}/promoted", promotions),
    )
    return graph.node("Concat", f"{at}/every", *parts, axis=1)


def _embedding(graph: Graph, spec: NetSpec, body: AttentionBody, x: str) -> str:
    if body.embedding is Embedding.TOWER:
        squares = graph.rows("/embedding/squares", x, spec.filters)
    else:
        beside = _map(graph, x) if body.embedding is Embedding.MAP else _board(graph, body, x)
        squares = graph.node("Transpose", "/embedding/last", x, perm=[0, 2, 3, 1])
        squares = graph.reshape("/embedding/squares", squares, [-1, SQUARES, PLANES])
        squares = graph.node("Concat", "/embedding/beside", squares, beside, axis=2)
        size = embedding_inputs(body, spec.filters)
        squares = graph.reshape("/embedding/rows", squares, [-1, size])
    squares = graph.activate(graph.dense("embedding.dense", squares), spec.activation)
    if body.embedding is Embedding.DENSE:
        squares = graph.layer_norm("embedding.ln1", squares, EMBEDDING_EPSILON)
    if body.gates:
        squares = _gates(graph, body, squares)
    if body.embedding is Embedding.DENSE:
        ffn = _feed_forward(graph, "embedding.ffn", body.ffn_activation, squares)
        ffn = graph.scale("/embedding/ffn/scaled", ffn, residual_scale(body))
        squares = graph.node("Add", "/embedding/ffn/sum", squares, ffn)
        squares = graph.layer_norm("embedding.ln2", squares, EMBEDDING_EPSILON)
    return squares


def _map(graph: Graph, planes: str) -> str:
    """The fixed map of the squares, once for each position: [batch, 64, 64]."""
    batch = graph.node("Shape", "/embedding/batch", planes, start=0, end=1)
    squares = graph.integers("/embedding/map.size", [SQUARES, SQUARES])
    shape = graph.node("Concat", "/embedding/map.shape", batch, squares, axis=0)
    fixed = graph.constant("/embedding/reached", reached().numpy())
    return graph.node("Expand", "/embedding/map", fixed, shape)


def _board(graph: Graph, body: AttentionBody, planes: str) -> str:
    """What a dense layer makes of all pieces, for each square: [batch, 64, body.dense]."""
    pieces = graph.slice("/embedding/pieces", planes, 1, 0, PIECE_PLANES)
    pieces = graph.node("Transpose", "/embedding/pieces.last", pieces, perm=[0, 2, 3, 1])
    board = graph.dense(
        "embedding.preprocess", graph.node("Flatten", "/embedding/pieces.flat", pieces)
    )
    return graph.reshape("/embedding/board", board, [-1, SQUARES, body.dense])


def _gates(graph: Graph, body: AttentionBody, rows: str) -> str:
    squares = graph.reshape("/embedding/gated", rows, [-1, SQUARES, body.size])
    for operator, gate in (("Mul", "embedding.mult_gate"), ("Add", "embedding.add_gate")):
        turned = graph.node("Transpose", f"/{gate}.turned", graph.weight(gate), perm=[1, 0])
        squares = graph.node(operator, f"/{gate}", squares, turned)
    return graph.reshape("/embedding/gates", squares, [-1, body.size])


def _encoder(
    graph: Graph,
    name: str,
    encoder: EncoderSpec,
    x: str,
    *,
    scale: float,
    epsilon: float,
    activations: tuple[Activation, Activation],
) -> str:
    """Append one encoder, rows to rows; activations of the feed-forward layers and of smolgen."""
    ffn_activation, smolgen_activation = activations
    told = None
    if encoder.smolgen:
        told = _smolgen(graph, f"{name}.smolgen", encoder, encoder.smolgen, smolgen_activation, x)
    seen = graph.dense(f"{name}.dense", _attention(graph, name, encoder, told, x))
    seen = graph.scale(f"/{name}/attention.scaled", seen, scale)
    x = graph.node("Add", f"/{name}/attention.sum", x, seen)
    x = graph.layer_norm(f"{name}.ln1", x, epsilon)
    ffn = _feed_forward(graph, f"{name}.ffn", ffn_activation, x)
    ffn = graph.scale(f"/{name}/ffn.scaled", ffn, scale)
    return graph.layer_norm(f"{name}.ln2", graph.node("Add", f"/{name}/ffn.sum", x, ffn), epsilon)


def _attention(graph: Graph, name: str, encoder: EncoderSpec, told: str | None, x: str) -> str:
    """What each square sees of the others, before the layer that joins the heads."""
    depth = encoder.width // encoder.heads
    parts = {}
    for part, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
        rows = graph.dense(f"{name}.{part}", x)
        heads = graph.reshape(f"/{name}/{part}.heads", rows, [-1, SQUARES, encoder.heads, depth])
        parts[part] = graph.node("Transpose", f"/{name}/{part}.turned", heads, perm=order)
    products = graph.node("MatMul", f"/{name}/products", parts["query"], parts["key"])
    products = graph.scale(f"/{name}/products.scaled", products, 1 / math.sqrt(depth))
    if told is not None:
        products = graph.node("Add", f"/{name}/told", products, told)
    shares = graph.node("Softmax", f"/{name}/shares", products, axis=3)
    seen = graph.node("MatMul", f"/{name}/seen", shares, parts["value"])
    seen = graph.node("Transpose", f"/{name}/seen.turned", seen, perm=[0, 2, 1, 3])
    return graph.reshape(f"/{name}/seen.rows", seen, [-1, encoder.width])


def _smolgen(
    graph: Graph,
    name: str,
    encoder: EncoderSpec,
    smolgen: SmolgenSpec,
    activation: Activation,
    x: str,
) -> str:
    """What the board as a whole adds to the attention: [batch, heads, 64, 64]."""
    x = graph.boards(f"/{name}/flatten", graph.dense(f"{name}.compress", x), smolgen.compress)
    for number in (1, 2):
        x = graph.activate(graph.dense(f"{name}.dense{number}", x), activation)
        x = graph.layer_norm(f"{name}.ln{number}", x, EMBEDDING_EPSILON)
    x = graph.reshape(f"/{name}/generated", x, [-1, smolgen.generated])
    x = graph.node("Gemm", f"/{name}/shared", x, graph.weight("smolgen.weight"), transB=1)
    return graph.reshape(f"/{name}", x, [-1, encoder.heads, SQUARES, SQUARES])


def _feed_forward(graph: Graph, name: str, activation: Activation, x: str) -> str:
    hidden = graph.activate(graph.dense(f"{name}.dense1", x), activation)
    return graph.dense(f"{name}.dense2", hidden)
