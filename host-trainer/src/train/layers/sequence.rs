//! Layers one after the other.

use rand_chacha::ChaCha8Rng;

use super::Layer;
use crate::train::batch::Batch;
use crate::train::real::Real;
use crate::train::tape::Tape;

/// Layers in the order in which a reading meets them, data -> base; their parameters follow each other in the same
/// order.
#[derive(Debug, Default)]
pub struct Sequence<T> {
    layers: Vec<Box<dyn Layer<T>>>,
}

impl<T: Real> Sequence<T> {
    /// The identity.
    pub fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// Adds a layer on the base's side.
    #[must_use]
    pub fn then(mut self, layer: impl Layer<T> + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }
}

impl<T: Real> Layer<T> for Sequence<T> {
    fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters()).sum()
    }

    fn initialize(&self, mut parameters: &mut [T], rng: &mut ChaCha8Rng) {
        for layer in &self.layers {
            let (own, rest) = parameters.split_at_mut(layer.parameters());
            layer.initialize(own, rng);
            parameters = rest;
        }
    }

    fn mark_decayed(&self, mut marks: &mut [bool]) {
        for layer in &self.layers {
            let (own, rest) = marks.split_at_mut(layer.parameters());
            layer.mark_decayed(own);
            marks = rest;
        }
    }

    fn inverse(&self, mut parameters: &[T], batch: &mut Batch<T>, log_det: &mut [T], tape: &mut Tape<T>) {
        for layer in &self.layers {
            let (own, rest) = parameters.split_at(layer.parameters());
            layer.inverse(own, batch, log_det, tape);
            parameters = rest;
        }
    }

    fn backward(
        &self,
        mut parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        mut parameter_gradient: &mut [T],
    ) {
        for layer in self.layers.iter().rev() {
            let (rest, own) = parameters.split_at(parameters.len() - layer.parameters());
            let (rest_gradient, own_gradient) = parameter_gradient.split_at_mut(rest.len());
            layer.backward(own, tape, gradient, log_det_gradient, own_gradient);
            (parameters, parameter_gradient) = (rest, rest_gradient);
        }
    }
}
