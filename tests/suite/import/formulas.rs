//! What the libraries' modules compute, by their formulas, on random weights.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::*;

fn relu(x: f64) -> f64 {
    x.max(0.0)
}

fn elu(x: f64) -> f64 {
    if x > 0.0 { x } else { x.exp_m1() }
}

fn softplus(x: f64) -> f64 {
    (1.0 + x.exp()).ln()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A linear layer with what its mask leaves.
#[derive(Clone)]
struct Linear {
    weight: Vec<Vec<f64>>,
    bias: Vec<f64>,
}

impl Linear {
    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let row = |(row, bias): (&Vec<f64>, &f64)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias;
        self.weight.iter().zip(&self.bias).map(row).collect()
    }
}

fn map(values: &[f64], function: fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|value| function(*value)).collect()
}

fn add(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| one + other).collect()
}

/// Layers with an activation between them.
fn plain(layers: &[Linear], activation: fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
    let (last, hidden) = layers.split_last().expect("layers");
    last.apply(&hidden.iter().fold(x.to_vec(), |x, layer| map(&layer.apply(&x), activation)))
}

/// nflows: s += W₂ act(W₁ act(s)).
fn residual(layers: &[Linear], activation: fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
    let mut s = layers[0].apply(x);
    for block in layers[1..layers.len() - 1].chunks(2) {
        s = add(&s, &block[1].apply(&map(&block[0].apply(&map(&s, activation)), activation)));
    }
    layers[layers.len() - 1].apply(&s)
}

/// Widths or heights of bins: of the whole interval 2 B.
fn shares(logits: &[f64], floor: f64, bound: f64) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    let rest = 1.0 - floor * logits.len() as f64;
    logits.iter().map(|logit| 2.0 * bound * (floor + rest * logit.exp() / sum)).collect()
}

/// The rational-quadratic spline with these bins and inner derivatives: value and ln slope.
fn spline(widths: &[f64], heights: &[f64], inner: &[f64], bound: f64, x: f64) -> (f64, f64) {
    if x.abs() >= bound {
        return (x, 0.0);
    }
    let derivatives: Vec<f64> = [1.0].iter().chain(inner).chain(&[1.0]).copied().collect();
    let (mut x_k, mut y_k, mut k) = (-bound, -bound, 0);
    while k + 1 < widths.len() && x > x_k + widths[k] {
        (x_k, y_k, k) = (x_k + widths[k], y_k + heights[k], k + 1);
    }
    let (w, h, d0, d1) = (widths[k], heights[k], derivatives[k], derivatives[k + 1]);
    let (s, t) = (h / w, (x - x_k) / w);
    let q = s + (d0 + d1 - 2.0 * s) * t * (1.0 - t);
    let y = y_k + h * (s * t * t + d0 * t * (1.0 - t)) / q;
    let slope = s * s * (d1 * t * t + 2.0 * s * t * (1.0 - t) + d0 * (1.0 - t) * (1.0 - t));
    (y, slope.ln() - 2.0 * q.ln())
}

const BINS: usize = 4;

/// nflows' row of parameters, with B = 3; widths and heights are divided by `root`.
fn floored(row: &[f64], root: f64, x: f64) -> (f64, f64) {
    let scaled: Vec<f64> = row[..2 * BINS].iter().map(|logit| logit / root).collect();
    let inner: Vec<f64> = row[2 * BINS..].iter().map(|raw| 1e-3 + softplus(*raw)).collect();
    let (widths, heights) = (shares(&scaled[..BINS], 1e-3, 3.0), shares(&scaled[BINS..], 1e-3, 3.0));
    spline(&widths, &heights, &inner, 3.0, x)
}

/// ln of zuko's slope of 1e-3.
fn limit() -> f64 {
    -1e-3_f64.ln()
}

/// zuko's row of parameters, with B = 5.
fn softclipped(row: &[f64], x: f64) -> (f64, f64) {
    let logits: Vec<f64> = row[..2 * BINS].iter().map(|u| u / (1.0 + 2.0 * u.abs() / limit())).collect();
    let inner: Vec<f64> = row[2 * BINS..].iter().map(|u| (u / (1.0 + u.abs() / limit())).exp()).collect();
    spline(&shares(&logits[..BINS], 0.0, 5.0), &shares(&logits[BINS..], 0.0, 5.0), &inner, 5.0, x)
}

/// zuko's affine map.
fn softsigned(row: &[f64], x: f64) -> (f64, f64) {
    let log_scale = row[1] / (1.0 + row[1].abs() / limit());
    (x * log_scale.exp() + row[0], log_scale)
}

/// Random weights, as they are stored.
struct Random {
    rng: ChaCha8Rng,
    tensors: Tensors,
}

impl Random {
    fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), tensors: Tensors::default() }
    }

    fn values(&mut self, count: usize, reach: f64) -> Vec<f64> {
        (0..count).map(|_| f64::from(self.rng.random_range(-reach..reach) as f32)).collect()
    }

    fn vector(&mut self, key: &str, shape: &[usize], reach: f64) -> Vec<f64> {
        let values = self.values(shape.iter().product(), reach);
        self.tensors.floats(key, shape, &values);
        values
    }

    fn linear(&mut self, key: &str, inputs: usize, outputs: usize) -> Linear {
        self.masked(key, inputs, outputs, None)
    }

    /// With `sees(output, input)` as a mask.
    fn masked(
        &mut self,
        key: &str,
        inputs: usize,
        outputs: usize,
        sees: Option<&dyn Fn(usize, usize) -> bool>,
    ) -> Linear {
        let reach = 1.4 / (inputs as f64).sqrt();
        let weight = self.vector(&format!("{key}.weight"), &[outputs, inputs], reach);
        let bias = self.vector(&format!("{key}.bias"), &[outputs], 0.5);
        let mut weight: Vec<Vec<f64>> = weight.chunks(inputs).map(<[f64]>::to_vec).collect();
        if let Some(sees) = sees {
            let bits: Vec<bool> = (0..outputs * inputs).map(|at| sees(at / inputs, at % inputs)).collect();
            self.tensors.bits(format!("{key}.mask"), &[outputs, inputs], &bits);
            for (row, bits) in weight.iter_mut().zip(bits.chunks(inputs)) {
                row.iter_mut().zip(bits).filter(|(_, seen)| !**seen).for_each(|(weight, _)| *weight = 0.0);
            }
        }
        Linear { weight, bias }
    }

    /// A dense net with two hidden layers at `{key}.0`, `.2` and `.4`.
    fn net(&mut self, key: &str, inputs: usize, outputs: usize) -> Vec<Linear> {
        let shapes = [(inputs, 10), (10, 7), (7, outputs)];
        shapes.iter().enumerate().map(|(at, (i, o))| self.linear(&format!("{key}.{}", 2 * at), *i, *o)).collect()
    }

    /// A masked net at these keys; unit u has the degree `degree(u)`, outputs of feature i see degrees up to `level(i)`.
    fn made(
        &mut self,
        keys: &[String],
        features: usize,
        context: usize,
        stride: usize,
        level: &dyn Fn(usize) -> usize,
    ) -> Vec<Linear> {
        let units = 9;
        // Feature j is seen from degree level(j) + 1 on; without a context, nobody is of degree 0.
        let degree = |unit: usize| {
            let most = (0..features).map(level).max().unwrap_or(0).max(1);
            if context > 0 { unit % (most + 1) } else { unit % most + 1 }
        };
        let count = keys.len();
        (0..count)
            .map(|at| {
                let key = &keys[at];
                let output = move |row: usize| level(row / stride);
                let sees_features = |unit: usize, input: usize| input >= features || level(input) < degree(unit);
                match at {
                    0 => self.masked(key, features + context, units, Some(&sees_features)),
                    at if at + 1 < count => self.masked(key, units, units, Some(&|a, b| degree(b) <= degree(a))),
                    _ => self.masked(key, units, features * stride, Some(&|row, unit| degree(unit) <= output(row))),
                }
            })
            .collect()
    }

    /// nflows' keys of a residual net with one block.
    fn blocks(key: &str) -> Vec<String> {
        ["initial_layer", "blocks.0.linear_layers.0", "blocks.0.linear_layers.1", "final_layer"]
            .map(|layer| format!("{key}.{layer}"))
            .to_vec()
    }

    fn residual(&mut self, key: &str, inputs: usize, outputs: usize) -> Vec<Linear> {
        let shapes = [(inputs, 9), (9, 9), (9, 9), (9, outputs)];
        Self::blocks(key).iter().zip(shapes).map(|(key, (i, o))| self.linear(key, i, o)).collect()
    }

    fn zuko_base(&mut self, features: usize) -> impl Fn(&mut Vec<f64>, &mut f64) + 'static {
        let (loc, scale) = (self.values(features, 1.0), self.values(features, 0.5));
        let scale: Vec<f64> = scale.iter().map(|scale| f64::from((1.0 + scale) as f32)).collect();
        self.tensors.floats("base.loc", &[features], &loc);
        self.tensors.floats("base.scale", &[features], &scale);
        move |z: &mut Vec<f64>, log_det: &mut f64| {
            for ((z, loc), scale) in z.iter_mut().zip(&loc).zip(&scale) {
                *z = (*z - loc) / scale;
                *log_det -= scale.ln();
            }
        }
    }

    fn normflows_base(&mut self, features: usize) -> impl Fn(&mut Vec<f64>, &mut f64) + 'static {
        let (loc, log) = (self.vector("q0.loc", &[1, features], 1.0), self.vector("q0.log_scale", &[1, features], 0.3));
        move |z: &mut Vec<f64>, log_det: &mut f64| {
            for ((z, loc), log) in z.iter_mut().zip(&loc).zip(&log) {
                *z = (*z - loc) * (-log).exp();
                *log_det -= log;
            }
        }
    }

    /// Compares the density of what is imported with that of `transform`, from x and a context to z and the log-determinant.
    fn check(
        &self,
        name: &str,
        sidecar: Value,
        features: usize,
        context: usize,
        transform: impl Fn(&[f64], &[f64]) -> (Vec<f64>, f64),
    ) {
        let model = imported(name, &self.tensors.file(), &serde_json::to_vec(&sidecar).expect("JSON"));
        let scorer = model.scorer();
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        let mut farthest: f64 = 0.0;
        for _ in 0..40 {
            let mut point = |count: usize| -> Vec<f64> { (0..count).map(|_| rng.random_range(-4.0..4.0)).collect() };
            let (x, context) = (point(features), point(context));
            let (z, log_det) = transform(&x, &context);
            let expected = log_det - z.iter().map(|z| 0.5 * (z * z + std::f64::consts::TAU.ln())).sum::<f64>();
            let (found_z, found) = scorer.log_prob_f64(&x, &context);
            let distance = (found - expected).abs() / (1.0 + expected.abs());
            farthest = farthest.max(distance);
            assert!(distance < 1e-6, "{name} at {x:?}, {context:?}: {found}, but {expected} ({z:?}, {found_z:?})");
            for (found, z) in found_z.iter().zip(&z) {
                assert!((found - z).abs() < 1e-6 * (1.0 + z.abs()), "{name} at {x:?}: {found_z:?}, but {z:?}");
            }
            let single = f64::from(scorer.log_prob(&single(&x), &single(&context)).expect("a density"));
            assert!((single - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{name}: {single}, but {expected}");
        }
        println!("{name}: {farthest:e}");
    }
}

/// What a map does to the features `transformed`, by their rows of parameters.
fn apply(z: &mut [f64], transformed: &[usize], rows: &[f64], map: impl Fn(&[f64], f64) -> (f64, f64)) -> f64 {
    let stride = rows.len() / transformed.len();
    let mut log_det = 0.0;
    for (feature, row) in transformed.iter().zip(rows.chunks(stride)) {
        let (value, log_slope) = map(row, z[*feature]);
        z[*feature] = value;
        log_det += log_slope;
    }
    log_det
}

fn pick(x: &[f64], features: &[usize]) -> Vec<f64> {
    features.iter().map(|feature| x[*feature]).collect()
}

#[test]
fn zuko_couplings_on_a_context() {
    for (univariate, stride) in [("spline", 3 * BINS - 1), ("affine", 2), ("additive", 1)] {
        let mut random = Random::new(1);
        let base = random.zuko_base(5);
        let layers: Vec<_> = (0..4)
            .map(|i| {
                let (kept, others): (Vec<usize>, Vec<usize>) = (0..5).partition(|feature| feature % 2 == i % 2);
                let mask: Vec<bool> = (0..5).map(|feature| feature % 2 == i % 2).collect();
                random.tensors.bits(format!("transform.transforms.{i}.mask"), &[5], &mask);
                let net = random.net(&format!("transform.transforms.{i}.hyper"), kept.len() + 2, others.len() * stride);
                (kept, others, net)
            })
            .collect();
        let sidecar = json!({"lib": "zuko 1.6.0", "flow": "NICE", "univariate": univariate, "activation": "ELU",
            "slope": 1e-3, "bins": BINS, "bound": 5.0});
        random.check(&format!("zuko NICE {univariate}"), sidecar, 5, 2, |x, context| {
            let (mut z, mut log_det) = (x.to_vec(), 0.0);
            for (kept, others, net) in &layers {
                let rows = plain(net, elu, &[pick(&z, kept), context.to_vec()].concat());
                log_det += apply(&mut z, others, &rows, |row, x| match row.len() {
                    1 => (x + row[0], 0.0),
                    2 => softsigned(row, x),
                    _ => softclipped(row, x),
                });
            }
            base(&mut z, &mut log_det);
            (z, log_det)
        });
    }
}

#[test]
fn zuko_autoregressive_flows_of_any_order() {
    // A random order; two passes, whose first features are constants' alone; with and without a context.
    for (name, orders, context) in [
        ("zuko random orders", [[3, 0, 4, 1, 2], [1, 4, 0, 2, 3]], 3),
        ("zuko two passes", [[0, 0, 0, 1, 1], [1, 1, 0, 0, 0]], 0),
    ] {
        let mut random = Random::new(2);
        let base = random.zuko_base(5);
        let nets = [0, 1].map(|i| {
            random.tensors.integers(format!("transforms.{i}.order"), &orders[i]);
            let keys = [0, 2, 4].map(|n| format!("transforms.{i}.hyper.{n}"));
            random.made(&keys, 5, context, 2, &|feature| orders[i][feature])
        });
        let sidecar = json!({"lib": "zuko 0.3.1", "flow": "MAF", "activation": "torch.nn.Tanh", "slope": 1e-3});
        random.check(name, sidecar, 5, context, |x, context| {
            let (mut z, mut log_det) = (x.to_vec(), 0.0);
            for net in &nets {
                let rows = plain(net, f64::tanh, &[z.clone(), context.to_vec()].concat());
                log_det += apply(&mut z, &[0, 1, 2, 3, 4], &rows, softsigned);
            }
            base(&mut z, &mut log_det);
            (z, log_det)
        });
    }
}

#[test]
fn zuko_residual_nets_are_plain_ones() {
    let mut random = Random::new(3);
    let base = random.zuko_base(4);
    let keys = ["0", "1.0", "1.2", "2.0", "2.2", "3"].map(|n| format!("transform.transforms.0.hyper.{n}"));
    random.tensors.integers("transform.transforms.0.order", &[0, 1, 2, 3]);
    let net = random.made(&keys, 4, 0, 2, &|feature| feature);
    let sidecar = json!({"lib": "zuko 1.6.0", "flow": "MAF", "activation": "relu", "slope": 1e-3});
    random.check("zuko residual", sidecar.clone(), 4, 0, |x, _| {
        let (mut z, mut log_det) = (x.to_vec(), 0.0);
        let mut s = net[0].apply(x);
        for block in net[1..5].chunks(2) {
            s = add(&s, &block[1].apply(&map(&block[0].apply(&s), relu)));
        }
        log_det += apply(&mut z, &[0, 1, 2, 3], &net[5].apply(&s), softsigned);
        base(&mut z, &mut log_det);
        (z, log_det)
    });
    let mut elu = sidecar;
    elu["activation"] = json!("elu");
    assert_eq!(
        refusal(&random.tensors.file(), &serde_json::to_vec(&elu).expect("JSON")),
        "the residual block `transform.transforms.0.hyper.1` cannot be imported: those of zuko can with the activation \
         `relu` only"
    );
}

#[test]
fn zuko_flows_of_one_feature() {
    let mut random = Random::new(4);
    let base = random.zuko_base(1);
    let parts = [("0", BINS), ("1", BINS), ("2", BINS - 1)];
    let row: Vec<f64> = parts
        .iter()
        .flat_map(|(n, count)| random.vector(&format!("transform.transforms.0.phi.{n}"), &[1, *count], 2.0))
        .collect();
    let sidecar =
        json!({"lib": "zuko 1.6.0", "flow": "NSF", "activation": "relu", "slope": 1e-3, "bins": BINS, "bound": 5.0});
    random.check("zuko element-wise", sidecar, 1, 0, |x, _| {
        let (mut z, mut log_det) = (x.to_vec(), 0.0);
        log_det += apply(&mut z, &[0], &row, softclipped);
        base(&mut z, &mut log_det);
        (z, log_det)
    });
}

#[test]
fn nflows_autoregressive_flows_both_ways() {
    let mut random = Random::new(5);
    let affine =
        random.made(&Random::blocks("_transform._transforms.0._transform.autoregressive_net"), 4, 0, 2, &|i| i);
    random.tensors.integers("_transform._transforms.1._permutation", &[2, 0, 3, 1]);
    let keys = ["initial_layer", "blocks.0.linear", "final_layer"]
        .map(|layer| format!("_transform._transforms.2._transforms.0.autoregressive_net.{layer}"));
    let splines = random.made(&keys, 4, 0, 3 * BINS - 1, &|i| i);
    let (log_scale, shift) = (
        random.vector("_transform._transforms.2._transforms.1.log_scale", &[4], 0.5),
        random.vector("_transform._transforms.2._transforms.1.shift", &[4], 0.5),
    );
    let sidecar = json!({"lib": "nflows 0.14", "activation": "tanh", "eps_scale": 1e-3, "bins": BINS, "tail_bound": 3.0,
        "min_bin": 1e-3, "min_deriv": 1e-3, "tails": "linear"});
    random.check("nflows inverse MAF, spline MAF", sidecar, 4, 0, |x, _| {
        let mut log_det = 0.0;
        // The inverse of y s + t, feature by feature.
        let mut y = vec![0.0; 4];
        for feature in 0..4 {
            let row = &residual(&affine, f64::tanh, &y)[2 * feature..][..2];
            let scale = softplus(row[0]) + 1e-3;
            y[feature] = (x[feature] - row[1]) / scale;
            log_det -= scale.ln();
        }
        let mut z = pick(&y, &[2, 0, 3, 1]);
        let rows = plain(&splines, f64::tanh, &z);
        log_det += apply(&mut z, &[0, 1, 2, 3], &rows, |row, x| floored(row, 1.0, x));
        for ((z, log), shift) in z.iter_mut().zip(&log_scale).zip(&shift) {
            *z = *z * log.exp() + shift;
            log_det += log;
        }
        (z, log_det)
    });
}

#[test]
fn nflows_couplings_by_other_nets() {
    let mut random = Random::new(6);
    let splits = [([0, 3], [1, 2, 4].as_slice()), ([1, 4], &[0, 2, 3]), ([2, 0], &[4, 3, 1])];
    let stride = 3 * BINS - 1;
    let key = |i: usize| format!("_transform._transforms.{i}");
    for (i, (kept, others)) in splits.iter().enumerate() {
        random.tensors.integers(format!("{}.identity_features", key(i)), kept);
        random.tensors.integers(format!("{}.transform_features", key(i)), others);
    }
    // An MLP does not divide, a ResidualNet does; one output for each feature is a shift.
    let parts = [("_input_layer", 2, 9), ("_hidden_layers.0", 9, 8), ("_output_layer", 8, 3 * stride)];
    let mlp = parts.map(|(layer, i, o)| random.linear(&format!("{}.transform_net.{layer}", key(0)), i, o));
    let net = random.residual(&format!("{}.transform_net", key(1)), 2, 3 * stride);
    let shifts = random.residual(&format!("{}.transform_net", key(2)), 2, 3);
    let own: Vec<Vec<f64>> = [("widths", BINS), ("heights", BINS), ("derivatives", BINS - 1)]
        .map(|(part, count)| {
            random.vector(&format!("{}.unconditional_transform.unnormalized_{part}", key(1)), &[2, count], 1.0)
        })
        .to_vec();
    let own: Vec<f64> = (0..2)
        .flat_map(|row| {
            own.iter().flat_map(move |part| part.chunks(part.len() / 2).nth(row).expect("two rows").to_vec())
        })
        .collect();
    let sidecar =
        json!({"meta": {"lib": "nflows 0.14", "bins": BINS, "tail_bound": 3.0, "min_bin": 1e-3, "min_deriv": 1e-3}});
    random.check("nflows MLP, unconditional, additive", sidecar, 5, 0, |x, _| {
        let (mut z, mut log_det) = (x.to_vec(), 0.0);
        let rows = plain(&mlp, relu, &pick(&z, &splits[0].0));
        log_det += apply(&mut z, splits[0].1, &rows, |row, x| floored(row, 1.0, x));
        let rows = residual(&net, relu, &pick(&z, &splits[1].0));
        log_det += apply(&mut z, splits[1].1, &rows, |row, x| floored(row, 3.0, x));
        log_det += apply(&mut z, &splits[1].0, &own, |row, x| floored(row, 1.0, x));
        let rows = residual(&shifts, relu, &pick(&z, &splits[2].0));
        log_det += apply(&mut z, splits[2].1, &rows, |row, x| (x + row[0], 0.0));
        (z, log_det)
    });
}

#[test]
fn normflows_couplings_of_every_scale() {
    for scale_map in ["exp", "sigmoid", "sigmoid_inv"] {
        let mut random = Random::new(7);
        let base = random.normflows_base(5);
        let first = random.net("flows.0.flows.1.param_map.net", 3, 4);
        let (s, t) = (random.vector("flows.1.s", &[1, 5], 0.5), random.vector("flows.1.t", &[1, 5], 1.0));
        let second = random.net("flows.3.flows.1.param_map.net", 3, 4);
        random.tensors.integers("flows.4.perm", &[2, 4, 1, 0, 3]);
        random.tensors.integers("flows.4.inv_perm", &[3, 2, 0, 4, 1]);
        let third = random.net("flows.5.flows.1.param_map.net", 3, 4);
        // Flow 2 and the last one swap, and have no tensors.
        let mut sidecar = json!({"lib": "normflows 1.7", "scale_map": scale_map, "permute_mode": "swap"});
        assert_eq!(
            refusal(&random.tensors.file(), &serde_json::to_vec(&sidecar).expect("JSON")),
            "the sidecar has no `flow_count`: whether a swap, which has no tensors, ends the list of flows (the state \
             dictionary does not hold it)"
        );
        sidecar["flow_count"] = json!(7);
        let couple = |z: &mut Vec<f64>, net: &[Linear]| {
            let rows = plain(net, relu, &z[..3]);
            apply(z, &[3, 4], &rows, |row, x| match scale_map {
                "exp" => ((x - row[0]) * (-row[1]).exp(), -row[1]),
                "sigmoid" => ((x - row[0]) * sigmoid(row[1] + 2.0), sigmoid(row[1] + 2.0).ln()),
                _ => ((x - row[0]) / sigmoid(row[1] + 2.0), -sigmoid(row[1] + 2.0).ln()),
            })
        };
        random.check(&format!("normflows {scale_map}"), sidecar, 5, 0, |x, _| {
            let swap = [3, 4, 0, 1, 2];
            let mut z = pick(x, &swap);
            let mut log_det = couple(&mut z, &third);
            z = pick(&z, &[3, 2, 0, 4, 1]);
            log_det += couple(&mut z, &second);
            z = pick(&z, &swap);
            for ((z, s), t) in z.iter_mut().zip(&s).zip(&t) {
                *z = (*z - t) * (-s).exp();
                log_det -= s;
            }
            log_det += couple(&mut z, &first);
            base(&mut z, &mut log_det);
            (z, log_det)
        });
    }
}

#[test]
fn normflows_masked_affine_flows() {
    let mut random = Random::new(8);
    let base = random.normflows_base(4);
    let masks = [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]];
    let mut nets = Vec::new();
    for (i, mask) in masks.iter().enumerate() {
        random.tensors.floats(format!("flows.{i}.b"), &[1, 4], mask);
        // The second one only shifts, the third one only scales.
        let t = (i != 2).then(|| random.net(&format!("flows.{i}.t.net"), 4, 4));
        let s = (i != 1).then(|| random.net(&format!("flows.{i}.s.net"), 4, 4));
        nets.push((t, s));
    }
    random.check("normflows masked affine", json!({"lib": "normflows 1.7"}), 4, 0, |x, _| {
        let (mut z, mut log_det) = (x.to_vec(), 0.0);
        for (mask, (t, s)) in masks.iter().zip(&nets).rev() {
            let masked: Vec<f64> = z.iter().zip(mask).map(|(z, b)| z * b).collect();
            let outputs =
                |net: &Option<Vec<Linear>>| net.as_ref().map_or(vec![0.0; 4], |net| plain(net, relu, &masked));
            let (t, s) = (outputs(t), outputs(s));
            for feature in (0..4).filter(|feature| mask[*feature] == 0.0) {
                z[feature] = (z[feature] - t[feature]) * (-s[feature]).exp();
                log_det -= s[feature];
            }
        }
        base(&mut z, &mut log_det);
        (z, log_det)
    });
}

#[test]
fn normflows_splines_and_autoregressive_flows() {
    let mut random = Random::new(9);
    let base = random.normflows_base(4);
    let stride = 3 * BINS - 1;
    random.tensors.integers("flows.0.prqct.identity_features", &[1, 3]);
    random.tensors.integers("flows.0.prqct.transform_features", &[0, 2]);
    let coupled = random.residual("flows.0.prqct.transform_net", 2, 2 * stride);
    random.tensors.integers("flows.1.permutation._permutation", &[1, 3, 0, 2]);
    let lower = random.vector("flows.1.linear.lower_entries", &[6], 0.5);
    let upper = random.vector("flows.1.linear.upper_entries", &[6], 0.5);
    let diagonal = random.vector("flows.1.linear.unconstrained_upper_diag", &[4], 1.0);
    let bias = random.vector("flows.1.linear.bias", &[4], 1.0);
    let splines = random.made(&Random::blocks("flows.2.mprqat.autoregressive_net"), 4, 0, stride, &|i| i);
    let affine = random.made(&Random::blocks("flows.3.autoregressive_net"), 4, 0, 2, &|i| i);
    let sidecar = json!({"lib": "normflows 1.7", "bins": BINS, "tail_bound": 3.0, "min_bin": 1e-3, "min_deriv": 1e-3,
        "lu_eps": 1e-3, "eps_scale": 1e-3});
    random.check("normflows splines, LU, IAF", sidecar, 4, 0, |x, _| {
        let mut log_det = 0.0;
        let mut z = vec![0.0; 4];
        for feature in 0..4 {
            let row = &residual(&affine, relu, &z)[2 * feature..][..2];
            let scale = sigmoid(row[0] + 2.0) + 1e-3;
            z[feature] = (x[feature] - row[1]) / scale;
            log_det -= scale.ln();
        }
        let rows = residual(&splines, relu, &z);
        log_det += apply(&mut z, &[0, 1, 2, 3], &rows, |row, x| floored(row, 1.0, x));
        z = pick(&z, &[1, 3, 0, 2]);
        let (mut l, mut u) = (vec![vec![0.0; 4]; 4], vec![vec![0.0; 4]; 4]);
        let (mut lower, mut upper) = (lower.iter(), upper.iter());
        for row in 0..4 {
            for column in 0..4 {
                match row.cmp(&column) {
                    std::cmp::Ordering::Greater => l[row][column] = *lower.next().expect("an entry"),
                    std::cmp::Ordering::Less => u[row][column] = *upper.next().expect("an entry"),
                    std::cmp::Ordering::Equal => {
                        (l[row][row], u[row][row]) = (1.0, softplus(diagonal[row]) + 1e-3);
                        log_det += u[row][row].ln();
                    }
                }
            }
        }
        z = Linear { weight: u, bias: vec![0.0; 4] }.apply(&z);
        z = Linear { weight: l, bias: bias.clone() }.apply(&z);
        let rows = residual(&coupled, relu, &pick(&z, &[1, 3]));
        log_det += apply(&mut z, &[0, 2], &rows, |row, x| floored(row, 3.0, x));
        base(&mut z, &mut log_det);
        (z, log_det)
    });
    random.vector("flows.4.u", &[4], 1.0);
    random.vector("flows.4.w", &[4], 1.0);
    assert_eq!(
        refusal(&random.tensors.file(), &serde_json::to_vec(&json!({"lib": "normflows 1.7"})).expect("JSON")),
        "`flows.4.u` cannot be imported: a planar flow base -> data has no inverse, so no density"
    );
}
