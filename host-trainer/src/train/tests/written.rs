//! What a layer writes is what it was trained as.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::gradients::{CONTEXT, ROWS, layers, parameters};
use crate::image::Image;
use crate::layers::{
    Sequence, Trainable, TrainedLuLinear, TrainedPlanar, TrainedPointwise, TrainedRadial, TrainedSylvester,
};
use crate::model::Body;
use crate::model::architecture::NumberFormat;
use crate::train::Batch;

/// The batched f32 arithmetic and the core's, on what is written.
#[test]
fn layers_compute_what_the_core_does_with_their_image() {
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    for (name, features, sequence) in layers() {
        let parameters: Vec<f32> =
            parameters(&sequence, features, &mut rng).iter().map(|parameter| *parameter as f32).collect();
        let context: Vec<f32> = (0..CONTEXT * ROWS).map(|_| rng.random_range(-2.0..2.0)).collect();
        let mut batch = Batch::<f32>::zeros(features, ROWS);
        batch.values_mut().fill_with(|| rng.random_range(-2.0..2.0));
        let start = batch.clone();
        let mut log_det = vec![0.0; ROWS];
        sequence.inverse(&parameters, &mut batch, &context, &mut log_det, &mut Default::default());

        let mut bodies = Vec::new();
        for (layer, own) in sequence.with_parameters(&parameters) {
            let mut image = Image::default();
            layer.write(own, &mut image);
            let described = layer.layer(NumberFormat::Float);
            assert_eq!(described.schema().size(), image.0.len(), "{name}");
            assert_eq!(described.schema().check(&image.0, 0), Ok(image.0.len()), "{name}");
            assert!(described.fits(features, CONTEXT) && described.directions().inverse, "{name}");
            bodies.push((described, Body::new(&image.0)));
        }
        for row in 0..ROWS {
            let mut x: Vec<f32> = (0..features).map(|feature| start.feature(feature)[row]).collect();
            let context: Vec<f32> = (0..CONTEXT).map(|index| context[index * ROWS + row]).collect();
            let mut sum = 0.0;
            for (layer, body) in &bodies {
                sum += layer.view(&mut body.as_bytes()).expect("an image of the layer").inverse(&mut x, &context);
            }
            for (feature, value) in x.iter().enumerate() {
                let batched = batch.feature(feature)[row];
                assert!((batched - value).abs() < 2e-5 * (1.0 + value.abs()), "{name}: {batched}, but {value}");
            }
            assert!((log_det[row] - sum).abs() < 2e-5 * (1.0 + sum.abs()), "{name}: {}, but {sum}", log_det[row]);
        }
    }
}

/// Deep flows of these train only from where each layer does little.
#[test]
fn layers_without_nets_start_near_the_identity() {
    let near = [
        ("lu linear", Sequence::new().then(TrainedLuLinear::new(6))),
        ("planar", Sequence::new().then(TrainedPlanar::new(6))),
        ("radial", Sequence::new().then(TrainedRadial::new(6))),
        ("sylvester", Sequence::new().then(TrainedSylvester::new(6, 4))),
        ("pointwise planar", Sequence::new().then(TrainedPointwise::new(3, 2, TrainedPlanar::new(3)))),
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(32);
    for (name, layer) in near {
        let mut parameters = vec![0.0_f64; Trainable::<f64>::parameters(&layer)];
        layer.initialize(&mut parameters, &mut rng);
        let mut batch = Batch::<f64>::zeros(6, ROWS);
        batch.values_mut().fill_with(|| rng.random_range(-2.0..2.0));
        let start = batch.clone();
        let mut log_det = vec![0.0; ROWS];
        layer.inverse(&parameters, &mut batch, &[], &mut log_det, &mut Default::default());
        let moved = batch.values().iter().zip(start.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let stretched = log_det.iter().map(|value| value.abs()).fold(0.0, f64::max);
        assert!(moved < 0.1 && stretched < 0.1, "{name}: moved by {moved}, log-determinant {stretched}");
    }
}
