"""The flows of other libraries that are compared with flowlet's: the same layers and widths, and about as many parameters."""


def torch_flows(features, layers, hidden):
    """For each flow the library, the family by flowlet's name, the module, and its log-densities of rows."""
    import normflows
    import zuko

    options = {"features": features, "context": 0, "transforms": layers, "hidden_features": (hidden, hidden)}
    # Two passes make a coupling of zuko's autoregressive layer.
    for family, flow in [
        ("realnvp", zuko.flows.RealNVP(**options)),
        ("maf", zuko.flows.MAF(**options)),
        ("spline", zuko.flows.NSF(**options, passes=2)),
        ("maf-spline", zuko.flows.NSF(**options)),
    ]:
        yield "zuko", family, flow, lambda rows, flow=flow: flow().log_prob(rows)
    stack = []
    kept = (features + 1) // 2
    for layer in range(layers):
        # The part that is kept and the other one change places, and with an odd number of features their sizes.
        sizes = (kept, features - kept) if layer % 2 == 0 else (features - kept, kept)
        net = normflows.nets.MLP([sizes[0], hidden, hidden, 2 * sizes[1]], init_zeros=True)
        stack += [normflows.flows.AffineCouplingBlock(net), normflows.flows.Permute(features, mode="swap")]
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(features), stack)
    yield "normflows", "realnvp", flow, flow.log_prob


def jax_flows(features, layers, hidden):
    """For each flow of FlowJAX the family by flowlet's name, and the flow."""
    from flowjax.bijections import Affine, RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow, masked_autoregressive_flow
    from jax import numpy, random

    key = random.key(0)
    options = {"base_dist": Normal(numpy.zeros(features)), "flow_layers": layers, "nn_width": hidden, "nn_depth": 2}
    spline = RationalQuadraticSpline(knots=8, interval=5)
    yield "realnvp", coupling_flow(key, transformer=Affine(), **options)
    yield "maf", masked_autoregressive_flow(key, transformer=Affine(), **options)
    yield "spline", coupling_flow(key, transformer=spline, **options)
