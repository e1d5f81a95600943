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


def torch_speed():
    import torch
    from flows import torch_flows

    torch.manual_seed(0)
    rows = torch.randn(ROWS, FEATURES)
    for library, family, module, log_prob in torch_flows(FEATURES, LAYERS, HIDDEN):
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


def jax_speed():
    import equinox
    import jax
    import optax
    from flows import jax_flows

    rows = jax.random.normal(jax.random.key(0), (ROWS, FEATURES))
    batches = rows.reshape(-1, BATCH_ROWS, FEATURES)
    optimizer = optax.adam(1e-3)
    for family, flow in jax_flows(FEATURES, LAYERS, HIDDEN):
        parameters, static = equinox.partition(flow, equinox.is_inexact_array)

        def log_prob(parameters, batch, static=static):
            return equinox.combine(parameters, static).log_prob(batch)

        def step(state, batch, log_prob=log_prob):
            parameters, moments = state
            gradient = jax.grad(lambda parameters: -log_prob(parameters, batch).mean())(parameters)
            updates, moments = optimizer.update(gradient, moments, parameters)
            return (equinox.apply_updates(parameters, updates), moments), None

        # A whole pass is one compiled scan: the fastest way that FlowJAX has.
        a_pass = jax.jit(lambda state, step=step: jax.lax.scan(step, state, batches)[0])
        score = jax.jit(log_prob)
        state = (parameters, optimizer.init(parameters))
        training = fastest(lambda: jax.block_until_ready(a_pass(state)))
        density = fastest(lambda: jax.block_until_ready(score(parameters, rows)))
        count = sum(array.size for array in jax.tree.leaves(parameters))
        say("flowjax", family, count, training, density)


{"torch": torch_speed, "jax": jax_speed}[LIBRARY]()
