//! Affine coupling, "Density estimation using Real NVP" (Dinh, Sohl-Dickstein, Bengio 2017), equations 7 and 8.

use rand_chacha::ChaCha8Rng;

use super::Layer;
use crate::train::batch::Batch;
use crate::train::conditioner::Mlp;
use crate::train::real::Real;
use crate::train::tape::Tape;

/// The first `a` features pass and condition the other `b`:
///
/// inverse: `y_b = (x_b - shift) * exp(-log_scale)`, log |det J| = -sum(log_scale).
///
/// The net's output rows are interleaved, row `2 i` is the shift of feature `a + i` and row `2 i + 1` its raw
/// log-scale, which a soft clip bounds: `log_scale = raw / (1 + |raw| / bound)`.
#[derive(Clone, Debug, PartialEq)]
pub struct AffineCoupling {
    a: usize,
    b: usize,
    bound: f32,
    net: Mlp,
}

impl AffineCoupling {
    /// Conditions `b` features on `a` through a net with the given hidden widths.
    pub fn new(a: usize, b: usize, hidden: &[usize], bound: f32) -> Self {
        Self { a, b, bound, net: Mlp::new(a, hidden, 2 * b) }
    }
}

impl<T: Real> Layer<T> for AffineCoupling {
    fn parameters(&self) -> usize {
        self.net.parameters()
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        self.net.initialize(parameters, rng);
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.net.mark_weights(marks);
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let bound = T::of(f64::from(self.bound));
        let (conditioning, transformed) = batch.values_mut().split_at_mut(self.a * rows);
        let input = tape.copy_of(conditioning);
        let mut net_output = self.net.forward(parameters, input, rows, tape);
        let mut scales = tape.buffer(self.b * rows);
        for ((y, scale), pair) in transformed
            .chunks_exact_mut(rows)
            .zip(scales.chunks_exact_mut(rows))
            .zip(net_output.chunks_exact_mut(2 * rows))
        {
            let (shift, raw) = pair.split_at_mut(rows);
            for row in 0..rows {
                // 1 / (1 + |raw| / bound): the clip's slope is its square, which is kept in the place of raw.
                let damping = bound / (bound + raw[row].abs());
                let log_scale = raw[row] * damping;
                raw[row] = damping * damping;
                scale[row] = (-log_scale).exp();
                log_det[row] -= log_scale;
                y[row] = (y[row] - shift[row]) * scale[row];
            }
        }
        tape.push(net_output);
        tape.push(scales);
        let outputs = tape.copy_of(transformed);
        tape.push(outputs);
    }

    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let rows = gradient.rows();
        let outputs = tape.pop();
        let scales = tape.pop();
        let mut net_gradient = tape.pop();
        let (conditioning, transformed) = gradient.values_mut().split_at_mut(self.a * rows);
        for (((gradient, y), scale), pair) in transformed
            .chunks_exact_mut(rows)
            .zip(outputs.chunks_exact(rows))
            .zip(scales.chunks_exact(rows))
            .zip(net_gradient.chunks_exact_mut(2 * rows))
        {
            let (shift, raw) = pair.split_at_mut(rows);
            for row in 0..rows {
                let by_log_scale = -(gradient[row] * y[row] + log_det_gradient[row]);
                gradient[row] *= scale[row];
                shift[row] = -gradient[row];
                raw[row] *= by_log_scale;
            }
        }
        tape.recycle(outputs);
        tape.recycle(scales);
        let by_input = self.net.backward(parameters, tape, net_gradient, rows, parameter_gradient);
        for (gradient, by_input) in conditioning.iter_mut().zip(&by_input) {
            *gradient += *by_input;
        }
        tape.recycle(by_input);
    }
}
