//! Affine coupling, "Density estimation using Real NVP" (Dinh, Sohl-Dickstein, Bengio 2017), equations 7 and 8.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::coupling::{self, CouplingView};
use flowlet::scale::Softsign;
use flowlet::schema::Record;
use flowlet::univariate::{Affine, Univariate};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::view::scalar;
use super::{Computed, Kind, Layer, Mathematics, Rows, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Clip, Elementary, Net, NetView, NumberFormat, forever};
use crate::quantize::quantize_coupling;
use crate::train::{self, Batch, MlpShape, Tape};

/// A map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Map {
    /// Affine.
    Affine {
        /// Clip.
        scale: Clip,
    },
}

/// `Coupling<A, B, N, U, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coupling {
    /// A.
    pub kept: usize,
    /// B.
    pub transformed: usize,
    /// The map.
    pub map: Map,
    /// The conditioner.
    pub net: Net,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl Kind for Coupling {
    fn record(&self) -> &'static Record {
        let net = self.net.record();
        let map = &<Affine<Softsign> as Univariate>::RECORD;
        let parameters = coupling::parameters(self.kept, self.transformed, map, net, self.elementary.name());
        let fields = forever(coupling::fields(map, net));
        forever(coupling::record(self.kept, 2, map, net, forever(parameters), fields))
    }

    fn rust_type(&self) -> String {
        let (kept, transformed, net) = (self.kept, self.transformed, self.net.rust_type());
        format!("AffineCoupling<{kept}, {transformed}, {net}{}>", self.elementary.suffix())
    }

    fn fits(&self, features: usize, context: usize) -> bool {
        self.kept.checked_add(self.transformed) == Some(features)
            && self.net.fits(self.kept + context, 2 * self.transformed)
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let inverse_bound = scalar(bytes)?;
        let conditioner = self.net.view(bytes)?;
        let map = Affine { scale: Softsign { inverse_bound } };
        Some(Box::new(Computed(CouplingView { kept: self.kept, outputs: 2, map, conditioner }, self.elementary)))
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        Some(("realnvp", Some(self.net.format())))
    }

    fn parameters(&self) -> usize {
        let shape = self.net.shape();
        let (hidden, deep, outputs) = (4 * shape.hidden, shape.deep, 2 * self.transformed);
        (self.kept + 1) * hidden + deep * (hidden + 1) * hidden + (hidden + 1) * outputs
    }
}

impl Mathematics for CouplingView<Affine, NetView<'_>> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        CouplingView::inverse::<T, E>(self, x, context)
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        CouplingView::forward::<T, E>(self, z, context)
    }
}

/// The first `a` features pass and condition the other `b`:
///
/// inverse: `y_b = (x_b - shift) * exp(-log_scale)`, log |det J| = -sum(log_scale).
///
/// The net's output rows are interleaved, row `2 i` is the shift of feature `a + i` and row `2 i + 1` its raw
/// log-scale, which a soft clip bounds: `log_scale = raw / (1 + |raw| / bound)`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedCoupling {
    a: usize,
    b: usize,
    bound: f32,
    net: MlpShape,
}

impl TrainedCoupling {
    /// Conditions `b` features on `a` and on `context` values through a net with the given hidden widths.
    pub fn new(a: usize, b: usize, context: usize, hidden: &[usize], bound: f32) -> Self {
        Self { a, b, bound, net: MlpShape::new(a + context, hidden, 2 * b) }
    }
}

impl<T: train::Real> Trainable<T> for TrainedCoupling {
    fn parameters(&self) -> usize {
        self.net.parameters()
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        self.net.initialize(parameters, rng);
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.net.mark_weights(marks);
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, context: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let bound = T::of(f64::from(self.bound));
        let (conditioning, transformed) = batch.values_mut().split_at_mut(self.a * rows);
        let mut input = tape.copy_of(conditioning);
        input.extend_from_slice(context);
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

impl Trained for TrainedCoupling {
    fn layer(&self, format: NumberFormat) -> Layer {
        Coupling {
            kept: self.a,
            transformed: self.b,
            map: Map::Affine { scale: Clip::Softsign },
            net: self.net.description(format),
            elementary: Elementary::Libm,
        }
        .into()
    }

    fn write(&self, parameters: &[f32], rows: Option<&Rows>, image: &mut Image) {
        image.f32(1.0 / self.bound);
        let net = self.net.with(parameters);
        match rows {
            None => image.float_net(self.net.shape(), &net),
            Some(rows) => {
                let kept = rows.values.columns(0, self.a);
                let inputs = nalgebra::DMatrix::from_fn(kept.nrows(), self.a + rows.context.ncols(), |row, column| {
                    if column < self.a { kept[(row, column)] } else { rows.context[(row, column - self.a)] }
                });
                image.int8_net(self.net.shape(), &quantize_coupling(&net, self.bound, &inputs));
            }
        }
    }
}
