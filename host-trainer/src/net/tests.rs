//! Laws of nets: every body and activation, dense and masked.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::train::{Real, Tape};

/// Every kind of net, with a name.
pub(super) fn nets() -> Vec<(String, Net)> {
    let mut nets = Vec::new();
    for (body, deep) in [
        (Body::Plain, 0),
        (Body::Plain, 3),
        (Body::Residual, 2),
        (Body::Residual, 4),
        (Body::Gated, 2),
        (Body::Gated, 4),
    ] {
        for activation in [Activation::Relu, Activation::Elu, Activation::Tanh] {
            let hidden = |units| Hidden { units, deep, body, activation };
            let name = |wiring: &str| format!("{wiring}, {deep} deep, {body:?}, {activation:?}");
            nets.push((name("dense"), Net::dense(3, 2, 6, hidden(8))));
            nets.push((name("masked"), Net::masked(4, 0, 1, 2, hidden(12))));
            nets.push((name("masked with a context"), Net::masked(3, 2, 0, 1, hidden(12))));
        }
    }
    let hidden = |units| Hidden { units, deep: 1, body: Body::Plain, activation: Activation::Relu };
    nets.push(("without inputs".to_owned(), Net::dense(0, 0, 3, hidden(4))));
    nets.push(("one feature".to_owned(), Net::masked(1, 0, 0, 4, hidden(4))));
    nets.push(("fewer quads than degrees".to_owned(), Net::masked(6, 1, 0, 3, hidden(8))));
    nets
}

/// Parameters that are nowhere zero but where they are masked.
pub(super) fn random<T: Real>(net: &Net, size: f64, rng: &mut ChaCha8Rng) -> Vec<T> {
    let mut parameters = vec![T::zero(); net.parameters()];
    let mut free = vec![false; net.parameters()];
    net.mark_weights(&mut free);
    for matrix in net.matrices() {
        free[matrix.biases()].fill(true);
    }
    for (parameter, free) in parameters.iter_mut().zip(free) {
        if free {
            *parameter = T::of(rng.random_range(-size..size));
        }
    }
    parameters
}

/// Rows that leave no tile or vector whole.
const ROWS: usize = 19;

fn input(net: &Net, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..net.inputs() * ROWS).map(|_| rng.random_range(-2.0..2.0)).collect()
}

/// One row by the definitions, a sum at a time. Also says how near to a kink of ReLU it came.
pub(super) fn by_definition(net: &Net, parameters: &[f64], input: &[f64]) -> (Vec<f64>, f64) {
    let mut nearest = f64::INFINITY;
    let mut act = |sums: &[f64]| -> Vec<f64> {
        let value = |x: &f64| match net.hidden.activation {
            Activation::Relu => x.max(0.0),
            Activation::Elu => x.max(0.0) + x.min(0.0).exp() - 1.0,
            Activation::Tanh => x.tanh(),
        };
        nearest = sums.iter().fold(nearest, |nearest, x| nearest.min(x.abs()));
        sums.iter().map(value).collect()
    };
    let mut at = 0;
    let mut dense = |input: &[f64], outputs: usize| -> Vec<f64> {
        let weights = &parameters[at..][..input.len() * outputs];
        let biases = &parameters[at + weights.len()..][..outputs];
        at += weights.len() + outputs;
        let sum = |output: usize| (0..input.len()).map(|i| weights[output * input.len() + i] * input[i]).sum::<f64>();
        (0..outputs).map(|output| sum(output) + biases[output]).collect()
    };
    let Hidden { units, deep, body, .. } = net.hidden;
    let mut h = dense(input, units);
    if body != Body::Residual {
        h = act(&h);
    }
    match body {
        Body::Plain => {
            for _ in 0..deep {
                h = act(&dense(&h, units));
            }
        }
        Body::Residual => {
            for _ in 0..deep / 2 {
                let active = act(&h);
                let inner = act(&dense(&active, units));
                let change = dense(&inner, units);
                h.iter_mut().zip(change).for_each(|(h, change)| *h += change);
            }
        }
        Body::Gated => {
            for _ in 0..deep / 2 {
                let open = act(&dense(&h, units));
                let gate = dense(&h, units);
                h = open.iter().zip(gate).map(|(open, gate)| open / (1.0 + (-gate).exp())).collect();
            }
        }
    }
    (dense(&h, net.outputs()), nearest)
}

/// Feature-major to rows.
fn rows(values: &[f64]) -> Vec<Vec<f64>> {
    (0..ROWS).map(|row| values.iter().skip(row).step_by(ROWS).copied().collect()).collect()
}

#[test]
fn outputs_are_those_of_the_definition() {
    for (name, net) in nets() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let parameters = random(&net, 0.8, &mut rng);
        let input = input(&net, &mut rng);
        let outputs = net.forward(&parameters, input.clone(), ROWS, &mut Tape::default());
        assert_eq!(outputs.len(), net.outputs() * ROWS);
        for (outputs, input) in rows(&outputs).iter().zip(rows(&input)) {
            let (exact, _) = by_definition(&net, &parameters, &input);
            for (output, exact) in outputs.iter().zip(exact) {
                assert!((output - exact).abs() < 1e-12 * (1.0 + exact.abs()), "{name}: {output} {exact}");
            }
        }
    }
}

/// Against central differences of a sum of the outputs with random weights, some rows moved away from kinks.
#[test]
fn gradients_by_every_parameter_and_input() {
    const STEP: f64 = 1e-5;
    for (name, net) in nets() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let parameters: Vec<f64> = random(&net, 0.8, &mut rng);
        let mut input = input(&net, &mut rng);
        for row in 0..ROWS {
            let of = |input: &[f64]| by_definition(&net, &parameters, &rows(input)[row]).1;
            // Without inputs all rows are the same one.
            while net.hidden.activation == Activation::Relu && net.inputs() > 0 && of(&input) < 1e-3 {
                (0..net.inputs()).for_each(|at| input[at * ROWS + row] = rng.random_range(-2.0..2.0));
            }
        }
        let factors: Vec<f64> = (0..net.outputs() * ROWS).map(|_| rng.random_range(-1.0..1.0)).collect();
        let loss = |parameters: &[f64], input: &[f64]| -> f64 {
            let outputs = net.forward(parameters, input.to_vec(), ROWS, &mut Tape::default());
            outputs.iter().zip(&factors).map(|(output, factor)| output * factor).sum()
        };
        let mut tape = Tape::default();
        net.forward(&parameters, input.clone(), ROWS, &mut tape);
        let mut by_parameter = vec![0.0; net.parameters()];
        let by_input = net.backward(&parameters, &mut tape, factors.clone(), ROWS, &mut by_parameter);
        assert!(tape.is_empty(), "{name}: the backward pass takes what the forward pass kept");
        let check = |what: &str, index: usize, written: f64, loss: &dyn Fn(f64) -> f64| {
            let measured = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            let error = (written - measured).abs() / (1e-2 + written.abs().max(measured.abs()));
            assert!(error < 1e-5, "{name}: {what} {index}: written {written}, measured {measured}");
        };
        for index in 0..parameters.len() {
            if parameters[index] == 0.0 {
                assert_eq!(by_parameter[index], 0.0, "{name}: what is masked stays");
                continue;
            }
            check("parameter", index, by_parameter[index], &|step| {
                let mut moved = parameters.clone();
                moved[index] += step;
                loss(&moved, &input)
            });
        }
        for index in 0..input.len() {
            check("input", index, by_input[index], &|step| {
                let mut moved = input.clone();
                moved[index] += step;
                loss(&parameters, &moved)
            });
        }
    }
}

/// The outputs of feature i see the context and the features before i, and all of those.
#[test]
fn masked_outputs_see_the_features_before_theirs() {
    for (name, net) in nets() {
        let Wiring::Masked { features, context, stride, .. } = net.wiring else { continue };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let parameters = random(&net, 0.8, &mut rng);
        let input = input(&net, &mut rng);
        let outputs = |input: &[f64]| net.forward(&parameters, input.to_vec(), ROWS, &mut Tape::default());
        let start = outputs(&input);
        let masks = net.masks().expect("a masked net has masks");
        for column in 0..context + features {
            let mut moved = input.clone();
            moved[column * ROWS..(column + 1) * ROWS].iter_mut().for_each(|value| *value += 1.0);
            let moved = outputs(&moved);
            for feature in 0..features {
                let range = feature * stride * ROWS..(feature + 1) * stride * ROWS;
                let visible = column < context + masks.visible(feature) && masks.quads(feature) > 0;
                assert!(column < context + feature || !visible, "{name}");
                assert_eq!(start[range.clone()] != moved[range], visible, "{name}: {column} in {feature}");
            }
        }
    }
}

#[test]
fn a_net_starts_without_an_opinion() {
    for (name, net) in nets() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut parameters = vec![f64::NAN; net.parameters()];
        net.initialize(&mut parameters, &mut rng);
        let input = input(&net, &mut rng);
        let outputs = net.forward(&parameters, input, ROWS, &mut Tape::default());
        assert!(outputs.iter().all(|output| *output == 0.0), "{name}");
        let mut free = vec![false; net.parameters()];
        net.mark_weights(&mut free);
        let last = net.matrix(net.hidden.deep + 1);
        for matrix in net.matrices().filter(|matrix| matrix.place != Place::Last) {
            assert!(parameters[matrix.biases()].iter().all(|bias| *bias != 0.0), "{name}");
            for at in matrix.weights() {
                assert_eq!(parameters[at] != 0.0, free[at], "{name}: every weight that is not masked");
                assert!(parameters[at].abs() <= 1.0);
            }
        }
        assert!(parameters[last.start..].iter().all(|parameter| *parameter == 0.0));
    }
}
