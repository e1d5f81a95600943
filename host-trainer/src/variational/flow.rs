//! A fitted approximation: samples with their log-densities, and a model for a device.

use rayon::prelude::*;

use super::objective::{Worker, chunks, draw};
use crate::base::{TrainedBase, TrainedStandardNormal};
use crate::calibrate::KNOTS;
use crate::export::write_calibration;
use crate::image::Image;
use crate::layers::{Layer, Sequence, compose};
use crate::model::architecture::{Architecture, Arithmetic, Calibration, NumberFormat};
use crate::model::{Metadata, Model, ModelError};
use crate::train::random::{Stream, stream};

/// A flow from the base N(0, I) to a target.
#[derive(Clone, Debug)]
pub struct Approximation {
    /// In the order in which a point of the base meets them.
    pub sequence: Sequence,
    /// The layers' parameters.
    pub parameters: Vec<f32>,
    features: usize,
}

/// A point and its log-density, in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The point.
    pub x: Vec<f64>,
    /// log q(x).
    pub log_prob: f64,
}

impl Approximation {
    pub(super) fn new(sequence: Sequence, parameters: Vec<f32>, features: usize) -> Self {
        Self { sequence, parameters, features }
    }

    /// The number of features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Samples, computed in f64.
    #[must_use]
    pub fn samples(&self, count: usize, seed: u64) -> Vec<Sample> {
        self.over_chunks(count, seed, |worker, parameters| {
            worker.evaluate(&self.sequence, parameters, |_| 0.0);
            let x = |row| (0..self.features).map(|feature| worker.batch.feature(feature)[row]).collect();
            worker.log_q.iter().enumerate().map(|(row, log_prob)| Sample { x: x(row), log_prob: *log_prob }).collect()
        })
    }

    /// What `of_chunk` makes of points of the base, in their order.
    pub(super) fn over_chunks<R: Send>(
        &self,
        count: usize,
        seed: u64,
        of_chunk: impl Fn(&mut Worker<f64>, &[f64]) -> Vec<R> + Sync,
    ) -> Vec<R> {
        let parameters: Vec<f64> = self.parameters.iter().map(|value| f64::from(*value)).collect();
        let chunks: Vec<usize> = chunks(count).collect();
        let results: Vec<Vec<R>> = chunks
            .into_par_iter()
            .enumerate()
            .map_init(Worker::default, |worker, (index, rows)| {
                worker.batch.reshape(self.features, rows);
                draw(&mut worker.batch, &mut stream(seed, Stream::Draws(index as u64)));
                of_chunk(worker, &parameters)
            })
            .collect();
        results.into_iter().flatten().collect()
    }

    /// As a model whose layers are these, turned: a device draws samples in one pass. It has no calibration. `None` for
    /// layers that have no other direction (planar, radial, Sylvester): a model has to have a density.
    ///
    /// # Errors
    /// [`ModelError`] when a fitted value is not one that the device accepts, or the metadata name other features.
    pub fn model(&self, metadata: Metadata) -> Option<Result<Model, ModelError>> {
        let mut image = Image::default();
        let layers: Vec<Layer> = self.sequence.layers(NumberFormat::Float).collect();
        if layers.is_empty() {
            return None;
        }
        for (layer, parameters) in self.sequence.with_parameters(&self.parameters) {
            layer.write(parameters, &mut image);
        }
        let base = TrainedStandardNormal { features: self.features };
        base.write(&[], &mut image);
        write_calibration(None, &mut image);
        let architecture = Architecture {
            features: self.features,
            context: 0,
            layers: Layer::Turned(Box::new(compose(layers))),
            base: base.base(),
            calibration: Calibration { knots: KNOTS },
            monitor: None,
            arithmetic: Arithmetic::F32SeparateMultiplyAdd,
        };
        architecture.is_consistent().then(|| Model::new(architecture, &image.0, metadata))
    }
}
