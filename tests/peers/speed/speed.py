"""Speed of other flow libraries on the job of `cargo xtask bench train` and `bench score`, a line of JSON for each flow.

usage: speed.py LIBRARY FEATURES LAYERS HIDDEN BATCH_ROWS ROWS

LIBRARY is torch (zuko and normflows) or jax (FlowJAX). The flows have the same features, layers and widths as flowlet's and about
as many parameters; Adam trains them. Steps are timed in passes over the rows, and the fastest pass counts.
"""

import json
import sys
import time

LIBRARY = sys.argv[1]
FEATURES, LAYERS, HIDDEN, BATCH_ROWS, ROWS = (int(argument) for argument in sys.argv[2:])
SECONDS = 3.0
MOST_PASSES = 20


def fastest(work):
    """Seconds of the fastest of some calls, after one that compiles."""
    work()
    best, start = float("inf"), time.perf_counter()
    for _ in range(MOST_PASSES):
        before = time.perf_counter()
        work()
        after = time.perf_counter()
        best = min(best, after - before)
        if after - start > SECONDS:
            break
    return best


def say(library, family, parameters, training, density):
    """`training` and `density` are seconds for all rows."""
    figures = {"library": library, "family": family, "parameters": parameters}
    figures |= {"rows_per_second": ROWS / training, "scores_per_second": ROWS / density}
    print(json.dumps(figures), flush=True)


def torch_flows():
    import torch
    import normflows
    import zuko

    torch.manual_seed(0)
    rows = torch.randn(ROWS, FEATURES)

    def run(library, family, module, log_prob):
        optimizer = torch.optim.Adam(module.parameters(), 1e-3)

        def train():
            for batch in rows.split(BATCH_ROWS):
                optimizer.zero_grad()
                (-log_prob(batch).mean()).backward()
                optimizer.step()

        def score():
            with torch.no_grad():
                log_prob(rows)

        parameters = sum(parameter.numel() for parameter in module.parameters())
        say(library, family, parameters, fastest(train), fastest(score))

    options = {"features": FEATURES, "context": 0, "transforms": LAYERS, "hidden_features": (HIDDEN, HIDDEN)}
    # Two passes make a spline coupling of zuko's autoregressive layer.
    for family, flow in [
        ("realnvp", zuko.flows.RealNVP(**options)),
        ("maf", zuko.flows.MAF(**options)),
        ("spline", zuko.flows.NSF(**options, passes=2)),
        ("maf-spline", zuko.flows.NSF(**options)),
    ]:
        run("zuko", family, flow, lambda batch, flow=flow: flow().log_prob(batch))
    layers = []
    for _ in range(LAYERS):
        net = normflows.nets.MLP([FEATURES // 2, HIDDEN, HIDDEN, FEATURES], init_zeros=True)
        layers += [normflows.flows.AffineCouplingBlock(net), normflows.flows.Permute(FEATURES, mode="swap")]
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(FEATURES), layers)
    run("normflows", "realnvp", flow, flow.log_prob)


def jax_flows():
    import equinox
    import jax
    import optax
    from flowjax.bijections import Affine, RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow, masked_autoregressive_flow
    from jax import numpy, random

    key = random.key(0)
    rows = random.normal(key, (ROWS, FEATURES))
    batches = rows.reshape(-1, BATCH_ROWS, FEATURES)
    base = Normal(numpy.zeros(FEATURES))

    def run(family, flow):
        parameters, static = equinox.partition(flow, equinox.is_inexact_array)
        optimizer = optax.adam(1e-3)

        def log_prob(parameters, batch):
            return equinox.combine(parameters, static).log_prob(batch)

        def step(state, batch):
            parameters, moments = state
            gradient = jax.grad(lambda parameters: -log_prob(parameters, batch).mean())(parameters)
            updates, moments = optimizer.update(gradient, moments, parameters)
            return (equinox.apply_updates(parameters, updates), moments), None

        # A whole pass is one compiled scan: the fastest way that FlowJAX has.
        a_pass = jax.jit(lambda state: jax.lax.scan(step, state, batches)[0])
        score = jax.jit(log_prob)
        state = (parameters, optimizer.init(parameters))
        training = fastest(lambda: jax.block_until_ready(a_pass(state)))
        density = fastest(lambda: jax.block_until_ready(score(parameters, rows)))
        count = sum(array.size for array in jax.tree.leaves(parameters))
        say("flowjax", family, count, training, density)

    options = {"base_dist": base, "flow_layers": LAYERS, "nn_width": HIDDEN, "nn_depth": 2}
    spline = RationalQuadraticSpline(knots=8, interval=5)
    run("realnvp", coupling_flow(key, transformer=Affine(), **options))
    run("maf", masked_autoregressive_flow(key, transformer=Affine(), **options))
    run("spline", coupling_flow(key, transformer=spline, **options))


{"torch": torch_flows, "jax": jax_flows}[LIBRARY]()
