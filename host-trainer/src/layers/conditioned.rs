//! What couplings and masked autoregressive layers share while they are trained: a net, and the map of one feature whose
//! parameters it computes.

use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;

use crate::image::Image;
use crate::net::{Net, RangeMethod, Ranges};
use crate::train::{Real, Tape};
use crate::univariate::{MapValues, TrainMap, stride};

/// A net with a stride of outputs for each feature that `map` transforms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conditioned {
    pub map: MapValues,
    pub net: Net,
}

impl Conditioned {
    fn outputs(&self) -> usize {
        TrainMap::<f32>::outputs(&self.map)
    }

    fn kept<T: Real>(&self) -> usize {
        TrainMap::<T>::kept(&self.map)
    }

    /// Starts the net such that it gives every feature the map's starting parameters, whatever it sees.
    pub fn initialize<T: Real>(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        self.net.initialize(parameters, rng);
        let (_, biases) = parameters.split_at_mut(self.net.parameters() - self.net.outputs());
        for feature in biases.chunks_mut(stride(self.outputs())) {
            for (bias, start) in feature.iter_mut().zip(TrainMap::<T>::start(&self.map)) {
                *bias = T::of(start);
            }
        }
    }

    /// Maps the features `transformed`, conditioned on what the net sees in `input`.
    pub fn inverse<T: Real>(
        &self,
        parameters: &[T],
        input: Vec<T>,
        transformed: &mut [T],
        log_det: &mut [T],
        tape: &mut Tape<T>,
    ) {
        let rows = log_det.len();
        let (kept, outputs) = (self.kept::<T>() * rows, self.outputs() * rows);
        let given = self.net.forward(parameters, input, rows, tape);
        let mut all_kept = tape.buffer(transformed.len() / rows * kept);
        let by_feature = given.chunks(stride(self.outputs()) * rows);
        for (index, (x, given)) in transformed.chunks_exact_mut(rows).zip(by_feature).enumerate() {
            let kept = &mut all_kept[index * kept..(index + 1) * kept];
            self.map.inverse(&given[..outputs], x, log_det, kept);
        }
        tape.recycle(given);
        tape.push(all_kept);
    }

    /// Turns `gradient` of the transformed features into that before the map; returns the gradient of the net's input.
    pub fn backward<T: Real>(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut [T],
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) -> Vec<T> {
        let rows = log_det_gradient.len();
        let (kept, outputs) = (self.kept::<T>() * rows, self.outputs() * rows);
        let all_kept = tape.pop();
        let mut net_gradient = tape.buffer(self.net.outputs() * rows);
        let by_feature = net_gradient.chunks_mut(stride(self.outputs()) * rows);
        for (index, (gradient, by_outputs)) in gradient.chunks_exact_mut(rows).zip(by_feature).enumerate() {
            let (by_outputs, padding) = by_outputs.split_at_mut(outputs);
            self.map.backward(&all_kept[index * kept..(index + 1) * kept], gradient, log_det_gradient, by_outputs);
            padding.fill(T::zero());
        }
        tape.recycle(all_kept);
        self.net.backward(parameters, tape, net_gradient, rows, parameter_gradient)
    }

    /// Appends what the map stores, and the net with f32 weights.
    pub fn write(&self, parameters: &[f32], image: &mut Image) {
        self.map.write(image);
        self.net.write_float(parameters, image);
    }

    /// Appends what the map stores, and the net quantized by its `inputs`, a row for each reading.
    pub fn write_int8(
        &self,
        parameters: &[f32],
        inputs: &DMatrix<f64>,
        method: RangeMethod,
        image: &mut Image,
    ) -> Vec<Ranges> {
        self.map.write(image);
        let stride = stride(self.outputs());
        let cost = |output: usize, all: &[f64]| {
            let feature = output / stride * stride;
            self.map.cost(output - feature, &all[feature..])
        };
        self.net.write_int8(parameters, inputs, cost, method, image)
    }
}
