//! A layer at every position, with the same parameters: the 1x1 convolution of "Glow" (Kingma, Dhariwal 2018).

use std::sync::Arc;

use flowlet::Fixed;
use flowlet::layers::pointwise::{self, each};
use flowlet::schema::Record;
use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Directions, Kind, Layer, Rows, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::net::{RangeMethod, Ranges};
use crate::train::{self, Batch, Tape};

/// `Pointwise<CHANNELS, POSITIONS, L>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointwise {
    /// Features of the layer; the fast index.
    pub channels: usize,
    /// How often it is applied.
    pub positions: usize,
    /// L, not a composition.
    pub layer: Box<Layer>,
}

impl Kind for Pointwise {
    fn record(&self) -> &'static Record {
        let layer = self.layer.kind().map_or(&super::NOTHING, Kind::record);
        let parameters = forever(pointwise::parameters(self.channels, self.positions, layer));
        let fields = forever(pointwise::fields(layer));
        forever(pointwise::record(self.channels, self.positions, layer, parameters, fields))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.layer.compute_with(elementary);
    }

    fn rust_type(&self) -> String {
        format!("Pointwise<{}, {}, {}>", self.channels, self.positions, self.layer.rust_type())
    }

    fn fits(&self, features: usize, context: usize) -> bool {
        self.channels.checked_mul(self.positions) == Some(features)
            && self.layer.kind().is_some_and(|layer| layer.fits(self.channels, context))
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        Some(Box::new(Each { channels: self.channels, layer: self.layer.view(bytes)? }))
    }

    fn directions(&self) -> Directions {
        self.layer.directions()
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        self.layer.kind().and_then(Kind::family)
    }

    fn parameters(&self) -> usize {
        self.layer.parameters()
    }
}

#[derive(Debug)]
struct Each<'a> {
    channels: usize,
    layer: Box<dyn View + 'a>,
}

macro_rules! at_each {
    ($name:ident, $scalar:ty) => {
        fn $name(&self, x: &mut [$scalar], context: &[$scalar]) -> $scalar {
            each(self.channels, x, |position| self.layer.$name(position, context))
        }
    };
}

impl View for Each<'_> {
    at_each!(inverse, f32);
    at_each!(forward, f32);
    at_each!(inverse_f64, f64);
    at_each!(forward_f64, f64);
    at_each!(inverse_fixed, Fixed);
    at_each!(forward_fixed, Fixed);
}

/// A layer on the channels of every position. To it, positions are more rows.
#[derive(Clone, Debug)]
pub struct TrainedPointwise {
    channels: usize,
    positions: usize,
    layer: Arc<dyn Trained>,
}

impl TrainedPointwise {
    /// `layer`, of `channels` features, at so many positions.
    #[must_use]
    pub fn new(channels: usize, positions: usize, layer: impl Trained + 'static) -> Self {
        Self { channels, positions, layer: Arc::new(layer) }
    }

    /// The rows of all positions, those of the first one first.
    fn gather<T: train::Real>(&self, batch: &Batch<T>) -> Batch<T> {
        let rows = batch.rows();
        let mut all = Batch::zeros(self.channels, self.positions * rows);
        for channel in 0..self.channels {
            for (position, to) in all.feature_mut(channel).chunks_exact_mut(rows).enumerate() {
                to.copy_from_slice(batch.feature(position * self.channels + channel));
            }
        }
        all
    }

    /// The opposite of [`TrainedPointwise::gather`].
    fn scatter<T: train::Real>(&self, all: &Batch<T>, batch: &mut Batch<T>) {
        let rows = batch.rows();
        for channel in 0..self.channels {
            for (position, from) in all.feature(channel).chunks_exact(rows).enumerate() {
                batch.feature_mut(position * self.channels + channel).copy_from_slice(from);
            }
        }
    }
}

impl<T: train::Real> Trainable<T> for TrainedPointwise {
    fn parameters(&self) -> usize {
        T::trainable(&*self.layer).parameters()
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        T::trainable(&*self.layer).initialize(parameters, rng);
    }

    fn initialize_by(&self, parameters: &mut [T], batch: &Batch<T>) {
        T::trainable(&*self.layer).initialize_by(parameters, &self.gather(batch));
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        T::trainable(&*self.layer).mark_decayed(marks);
    }

    fn fake_quantize(&self, parameters: &mut [T]) {
        T::trainable(&*self.layer).fake_quantize(parameters);
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, context: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let mut all = self.gather(batch);
        let context: Vec<T> = context.chunks_exact(rows).flat_map(|value| value.repeat(self.positions)).collect();
        let mut log_dets = vec![T::zero(); self.positions * rows];
        T::trainable(&*self.layer).inverse(parameters, &mut all, &context, &mut log_dets, tape);
        for position in log_dets.chunks_exact(rows) {
            log_det.iter_mut().zip(position).for_each(|(log_det, position)| *log_det += *position);
        }
        self.scatter(&all, batch);
    }

    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let mut all = self.gather(gradient);
        let log_det_gradient = log_det_gradient.repeat(self.positions);
        T::trainable(&*self.layer).backward(parameters, tape, &mut all, &log_det_gradient, parameter_gradient);
        self.scatter(&all, gradient);
    }
}

impl Trained for TrainedPointwise {
    fn layer(&self, format: NumberFormat) -> Layer {
        let (channels, positions) = (self.channels, self.positions);
        let pointwise = |layer| Layer::from(Pointwise { channels, positions, layer });
        match self.layer.layer(format) {
            // A turned layer at every position is that layer at every position, turned.
            Layer::Turned(layer) => Layer::Turned(Box::new(pointwise(layer))),
            layer => pointwise(Box::new(layer)),
        }
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        self.layer.write(parameters, image);
    }

    fn write_int8(
        &self,
        parameters: &[f32],
        rows: &Rows,
        method: RangeMethod,
        image: &mut Image,
    ) -> Option<Vec<Ranges>> {
        let count = rows.values.nrows();
        let all = Rows {
            values: DMatrix::from_fn(self.positions * count, self.channels, |row, channel| {
                rows.values[(row % count, row / count * self.channels + channel)]
            }),
            context: DMatrix::from_fn(self.positions * count, rows.context.ncols(), |row, column| {
                rows.context[(row % count, column)]
            }),
        };
        self.layer.write_int8(parameters, &all, method, image)
    }
}
