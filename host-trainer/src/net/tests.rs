//! Laws of nets: every body and activation, dense and masked.

use flowlet::conditioner::{Autoregress, Evaluate, MaskedConditioner};
use flowlet::{Conditioner, Elementary, Elu, Float, Gated, Int8, Libm, MaskedFloat, MaskedInt8, Plain, Residual, Tanh};
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::image::Image;
use crate::model::architecture::NumberFormat;
use crate::train::{Real, Tape};

/// Every kind of net, with a name.
fn nets() -> Vec<(String, Net)> {
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
    for stride in [1, 2, 8] {
        nets.push((format!("masked, {stride} outputs each"), Net::masked(7, 3, 0, stride, hidden(20))));
    }
    nets.push(("one feature".to_owned(), Net::masked(1, 0, 0, 4, hidden(4))));
    nets.push(("fewer quads than degrees".to_owned(), Net::masked(6, 1, 0, 4, hidden(8))));
    nets
}

/// Parameters that are nowhere zero but where they are masked.
fn random<T: Real>(net: &Net, size: f64, rng: &mut ChaCha8Rng) -> Vec<T> {
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
fn by_definition(net: &Net, parameters: &[f64], input: &[f64]) -> (Vec<f64>, f64) {
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

/// The outputs of a net on its bytes, by the core.
fn outputs_of<T: flowlet::Real>(net: &Net, view: &NetView<'_>, input: &[T]) -> Vec<T>
where
    Libm: Elementary<T>,
{
    let mut outputs = Vec::new();
    match net.wiring {
        Wiring::Dense { inputs, .. } => {
            let (values, context) = input.split_at(inputs);
            view.evaluate(values, context, |quad| outputs.extend(quad));
            outputs.truncate(net.outputs());
        }
        Wiring::Masked { context, .. } => {
            let (context, values) = input.split_at(context);
            view.walk(context, |feature, parameters| {
                outputs.extend(parameters);
                values[feature]
            });
        }
    }
    assert_eq!(outputs.len(), net.outputs());
    outputs
}

/// Calls `run` with the core's view of an image.
fn with_view(net: &Net, format: NumberFormat, image: &Image, run: impl FnOnce(&NetView<'_>)) {
    let net_type = net.net_type(format);
    assert_eq!(net_type.record().size(), image.0.len());
    net_type.record().check(&image.0, 0).expect("written values keep the core's rules");
    let body = crate::model::Body::new(&image.0);
    let mut bytes = body.as_bytes();
    run(&net_type.view(&mut bytes).expect("an image of this type"));
    assert!(bytes.is_empty());
}

#[test]
fn float_nets_compute_on_their_bytes_what_was_trained() {
    for (name, net) in nets() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let parameters: Vec<f32> = random(&net, 0.8, &mut rng);
        let mut image = Image::default();
        net.write_float(&parameters, &mut image);
        let input: Vec<f32> = input(&net, &mut rng).into_iter().map(|value| value as f32).collect();
        let trained = net.forward(&parameters, input.clone(), ROWS, &mut Tape::default());
        with_view(&net, NumberFormat::Float, &image, |view| {
            for row in 0..ROWS {
                let of = |values: &[f32]| -> Vec<f32> { values.iter().skip(row).step_by(ROWS).copied().collect() };
                for (found, trained) in outputs_of(&net, view, &of(&input)).into_iter().zip(of(&trained)) {
                    assert!((found - trained).abs() < 1e-5 * (1.0 + trained.abs()), "{name}: {found} {trained}");
                }
            }
        });
    }
}

/// Among others a row has the bits that it has alone, also where weights that a row may not see are stored.
#[test]
fn rows_side_by_side_have_the_bits_of_one() {
    use super::rows::{Lanes, ROWS, RowsNet};
    for (name, net) in nets() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut images = [Image::default(), Image::default()];
        let parameters: Vec<f32> = (0..net.parameters()).map(|_| rng.random_range(-0.8..0.8)).collect();
        net.write_float(&parameters, &mut images[0]);
        let readings = DMatrix::from_fn(100, net.inputs(), |_, _| rng.random_range(-2.0..2.0));
        net.write_int8(&random(&net, 0.8, &mut rng), &readings, |_, _| 1.0, RangeMethod::MinMax, &mut images[1]);
        let far = [f32::MAX, f32::MIN, 0.0, -0.0, 1e-40];
        let lanes: Vec<Lanes<f32>> = (0..net.inputs())
            .map(|_| std::array::from_fn(|row| far.get(row).copied().unwrap_or_else(|| rng.random_range(-2.0..2.0))))
            .collect();
        for (format, image) in [NumberFormat::Float, NumberFormat::Int8].into_iter().zip(&images) {
            let body = crate::model::Body::new(&image.0);
            let rows = RowsNet::new(net.net_type(format), body.as_bytes());
            let simple = net.hidden.body == Body::Plain && net.hidden.activation == Activation::Relu;
            assert_eq!(rows.is_some(), simple, "{name}");
            let Some(rows) = rows else { continue };
            let together = rows.evaluate(lanes.iter());
            with_view(&net, format, image, |view| {
                for row in 0..ROWS {
                    let input: Vec<f32> = lanes.iter().map(|lanes| lanes[row]).collect();
                    for (output, alone) in outputs_of(&net, view, &input).into_iter().enumerate() {
                        assert_eq!(together[output][row].to_bits(), alone.to_bits(), "{name}, {format:?}: row {row}");
                    }
                }
            });
        }
    }
}

/// The relative squared error of a quantized net's outputs, by the core, on readings like those that it was quantized by.
fn quantization_error(name: &str, net: &Net, parameters: &[f32], cost: impl Fn(usize, &[f64]) -> f64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let inputs = DMatrix::from_fn(400, net.inputs(), |_, _| rng.random_range(-2.0..2.0));
    let mut image = Image::default();
    net.write_int8(parameters, &inputs, cost, RangeMethod::MinMax, &mut image);
    let wide: Vec<f64> = parameters.iter().map(|parameter| f64::from(*parameter)).collect();
    let (mut error, mut size) = (0.0, 0.0);
    with_view(net, NumberFormat::Int8, &image, |view| {
        for _ in 0..200 {
            let input: Vec<f64> = (0..net.inputs()).map(|_| rng.random_range(-2.0..2.0)).collect();
            let (exact, _) = by_definition(net, &wide, &input);
            for (found, exact) in outputs_of(net, view, &input).into_iter().zip(exact) {
                assert!(found.is_finite(), "{name}");
                error += (found - exact).powi(2);
                size += exact.powi(2);
            }
        }
    });
    error / size
}

#[test]
fn quantized_outputs_follow_the_exact_ones() {
    for (name, net) in nets() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let parameters = random(&net, 0.8, &mut rng);
        let even = quantization_error(&name, &net, &parameters, |_, _| 1.0);
        let weighted = quantization_error(&name, &net, &parameters, |output, exact| (0.1 * exact[output]).exp());
        assert!(even < 1e-4 && weighted < 1e-4, "{name}: {even} {weighted}");
    }
}

#[test]
fn dead_and_extreme_rows_stay_within_the_formats() {
    for (name, net) in nets() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut parameters: Vec<f32> = random(&net, 0.8, &mut rng);
        for matrix in net.matrices() {
            let weights = matrix.inputs;
            parameters[matrix.weights()].iter_mut().take(weights).for_each(|weight| *weight = 0.0);
            for (bias, extreme) in parameters[matrix.biases()].iter_mut().zip([0.0, 1e30, -1e30, 1e-30]) {
                *bias = extreme;
            }
            if matrix.place == Place::Last {
                parameters[matrix.weights()].iter_mut().for_each(|weight| *weight *= 1e-30);
            }
        }
        for inputs in [DMatrix::zeros(5, net.inputs()), DMatrix::from_element(5, net.inputs(), 1e4)] {
            let mut image = Image::default();
            net.write_int8(&parameters, &inputs, |_, _| 1.0, RangeMethod::MinMax, &mut image);
            with_view(&net, NumberFormat::Int8, &image, |view| {
                for value in [0.0, 1e4, -1e30, f32::MAX] {
                    let outputs = outputs_of(&net, view, &vec![value; net.inputs()]);
                    assert!(outputs.iter().all(|output| output.is_finite()), "{name}: {outputs:?}");
                }
            });
        }
    }
}

#[test]
fn a_net_without_inputs_is_its_biases() {
    let hidden = Hidden { units: 4, deep: 1, body: Body::Plain, activation: Activation::Relu };
    let net = Net::dense(0, 0, 2, hidden);
    let parameters: Vec<f32> = random(&net, 0.8, &mut ChaCha8Rng::seed_from_u64(9));
    assert!(quantization_error("without inputs", &net, &parameters, |_, _| 1.0) < 1e-6);
}

/// The core's text of a type, without the description's own words.
fn described(record: &flowlet::schema::Record) -> String {
    let mut buffer = [0; 512];
    let mut text = flowlet::text::Text::new(&mut buffer);
    record.describe(&mut text);
    text.as_str().to_owned()
}

/// A type's name as a program writes it.
fn short<T>() -> String {
    let mut out = String::new();
    for word in std::any::type_name::<T>().split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        out.push_str(word.rsplit("::").next().unwrap());
    }
    // The compiler writes out the defaults.
    out.replace(", Plain>", ">").replace("<Relu>", "").replace(", Plain>", ">")
}

#[test]
fn descriptions_and_types_are_the_cores() {
    fn check(net: &Net, format: NumberFormat, record: &flowlet::schema::Record, name: &str) {
        let net_type = net.net_type(format);
        let text = described(record);
        assert_eq!(ron::to_string(&net_type).unwrap(), text);
        assert_eq!(ron::from_str::<NetType>(&text).unwrap(), net_type);
        let own = net_type.record();
        assert_eq!(described(own), text);
        assert_eq!((own.size(), own.macs, own.scratch), (record.size(), record.macs, record.scratch));
        assert_eq!(net_type.rust_type(), name);
        let mut free = vec![false; net.parameters()];
        net.mark_weights(&mut free);
        let biases: usize = net.matrices().map(|matrix| matrix.outputs).sum();
        let counted = free.iter().filter(|free| **free).count() + biases;
        assert_eq!(net_type.parameters(net.inputs(), net.outputs()), counted);
    }
    macro_rules! check {
        ($net:expr, $format:ident, $type:ty, $kind:ident) => {
            check(&$net, NumberFormat::$format, &<$type as $kind>::RECORD, &short::<$type>());
        };
    }
    let hidden = |units, deep, body, activation| Hidden { units, deep, body, activation };
    let plain = Net::dense(3, 2, 6, hidden(8, 3, Body::Plain, Activation::Relu));
    check!(plain, Int8, Int8<2, 2, 3, 2>, Conditioner);
    check!(plain, Float, Float<2, 2, 3, 2>, Conditioner);
    let residual = Net::dense(3, 2, 6, hidden(8, 2, Body::Residual, Activation::Elu));
    check!(residual, Int8, Int8<2, 2, 2, 2, Residual<Elu>>, Conditioner);
    let gated = Net::dense(3, 2, 6, hidden(8, 2, Body::Gated, Activation::Relu));
    check!(gated, Float, Float<2, 2, 2, 2, Gated>, Conditioner);
    let masked = Net::masked(5, 2, 0, 2, hidden(12, 1, Body::Plain, Activation::Tanh));
    check!(masked, Int8, MaskedInt8<5, 2, 0, 2, 2, 3, 1, 3, 4, 6, 8, Plain<Tanh>>, MaskedConditioner);
    check!(masked, Float, MaskedFloat<5, 2, 0, 2, 2, 3, 1, 3, 4, 6, 8, Plain<Tanh>>, MaskedConditioner);
    assert!(residual.net_type(NumberFormat::Int8).fits(5, 6) && !residual.net_type(NumberFormat::Int8).fits(9, 6));
    assert!(masked.net_type(NumberFormat::Int8).fits_masked(5, 2, 2));
    assert!(!masked.net_type(NumberFormat::Int8).fits_masked(5, 1, 2));
}
