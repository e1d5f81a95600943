"""Held-out log-density against training time, of other flow libraries: a line of JSON for each flow and learning rate.

usage: reach.py LIBRARY FAMILIES LAYERS HIDDEN BATCH_ROWS SECONDS TRAINING HELD_OUT

LIBRARY is torch (zuko) or jax (FlowJAX), FAMILIES are flowlet's names, with commas between. TRAINING and HELD_OUT are CSV tables
without a header. Adam trains with each learning rate for so many seconds; the held-out rows are scored after every pass, which is
not counted, and neither is what FlowJAX compiles before its first step, which is said beside.
"""

import json
import sys
import time

import numpy

LIBRARY, FAMILIES = sys.argv[1], sys.argv[2].split(",")
LAYERS, HIDDEN, BATCH_ROWS = (int(argument) for argument in sys.argv[3:6])
SECONDS = float(sys.argv[6])
TRAINING, HELD_OUT = (numpy.loadtxt(path, delimiter=",", dtype=numpy.float32, ndmin=2) for path in sys.argv[7:9])
LEARNING_RATES = (1e-3, 5e-3)


def curve(a_pass, held_out):
    """Seconds of training, and nats of the held-out rows then."""
    generator = numpy.random.default_rng(0)
    points, seconds = [(0.0, held_out())], 0.0
    while seconds < SECONDS:
        order = generator.permutation(len(TRAINING))
        start = time.perf_counter()
        a_pass(TRAINING[order])
        seconds += time.perf_counter() - start
        points.append((seconds, held_out()))
    # What is no number is no point of a curve.
    return [point for point in points if numpy.isfinite(point[1])]


def say(library, family, learning_rate, parameters, compilation, points):
    figures = {"library": library, "family": family, "learning_rate": learning_rate, "parameters": parameters}
    print(json.dumps(figures | {"compilation": compilation, "curve": points}), flush=True)


def torch_reach():
    import torch
    from flows import torch_flows

    held_out_rows = torch.from_numpy(HELD_OUT)
    for learning_rate in LEARNING_RATES:
        torch.manual_seed(0)
        for library, family, module, log_prob in torch_flows(TRAINING.shape[1], LAYERS, HIDDEN):
            if library != "zuko" or family not in FAMILIES:
                continue
            optimizer = torch.optim.Adam(module.parameters(), learning_rate)

            def a_pass(rows):
                for batch in torch.from_numpy(rows).split(BATCH_ROWS):
                    optimizer.zero_grad()
                    (-log_prob(batch).mean()).backward()
                    optimizer.step()

            def held_out():
                with torch.no_grad():
                    return log_prob(held_out_rows).double().mean().item()

            parameters = sum(parameter.numel() for parameter in module.parameters())
            say(library, family, learning_rate, parameters, 0.0, curve(a_pass, held_out))


def jax_reach():
    import equinox
    import jax
    import optax
    from flows import jax_flows

    whole = len(TRAINING) // BATCH_ROWS * BATCH_ROWS
    for learning_rate in LEARNING_RATES:
        optimizer = optax.adam(learning_rate)
        for family, flow in jax_flows(TRAINING.shape[1], LAYERS, HIDDEN):
            if family not in FAMILIES:
                continue
            parameters, static = equinox.partition(flow, equinox.is_inexact_array)

            def log_prob(parameters, batch):
                return equinox.combine(parameters, static).log_prob(batch)

            def step(state, batch):
                parameters, moments = state
                gradient = jax.grad(lambda parameters: -log_prob(parameters, batch).mean())(parameters)
                updates, moments = optimizer.update(gradient, moments, parameters)
                return (equinox.apply_updates(parameters, updates), moments), None

            def batches(rows):
                return rows[:whole].reshape(-1, BATCH_ROWS, rows.shape[1])

            state = (parameters, optimizer.init(parameters))
            score = jax.jit(log_prob)
            start = time.perf_counter()
            scan = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches)[0])
            scan = scan.lower(state, batches(TRAINING)).compile()
            compilation = time.perf_counter() - start

            def a_pass(rows):
                nonlocal state
                state = jax.block_until_ready(scan(state, batches(rows)))

            def held_out():
                return float(numpy.asarray(score(state[0], HELD_OUT), dtype=numpy.float64).mean())

            count = sum(array.size for array in jax.tree.leaves(parameters))
            say("flowjax", family, learning_rate, count, compilation, curve(a_pass, held_out))


{"torch": torch_reach, "jax": jax_reach}[LIBRARY]()
