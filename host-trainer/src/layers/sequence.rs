//! Layers one after the other.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::{Layer, Trainable, Trained};
use crate::model::architecture::NumberFormat;
use crate::net::Net;
use crate::train::{Batch, Real, Tape};

/// Layers in the order in which a reading meets them, data -> base; their parameters follow each other in the same
/// order.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    layers: Vec<Arc<dyn Trained>>,
}

impl Sequence {
    /// The identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// These layers.
    pub fn of(layers: Vec<Arc<dyn Trained>>) -> Self {
        Self { layers }
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Adds a layer on the base's side.
    #[must_use]
    pub fn then(mut self, layer: impl Trained + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// The layers, each with its own of all parameters.
    pub fn with_parameters<'a, T: Real>(
        &'a self,
        mut parameters: &'a [T],
    ) -> impl Iterator<Item = (&'a dyn Trained, &'a [T])> {
        self.layers.iter().map(move |layer| {
            let (own, rest) = parameters.split_at(T::trainable(&**layer).parameters());
            parameters = rest;
            (&**layer, own)
        })
    }

    /// The layers from the given one on, counted from 0.
    #[must_use]
    pub fn from(&self, layer: usize) -> Self {
        Self { layers: self.layers[layer..].to_vec() }
    }

    /// Whether a layer has a net whose weights can be quantized.
    pub fn has_nets_to_quantize(&self) -> bool {
        self.layers.iter().any(|layer| layer.has_net_to_quantize())
    }

    /// The net, if all there is to fit is one velocity.
    pub fn velocity(&self) -> Option<&Net> {
        match &self.layers[..] {
            [layer] => layer.velocity(),
            _ => None,
        }
    }

    /// What the layers are, one by one.
    pub fn layers(&self, format: NumberFormat) -> impl Iterator<Item = Layer> + '_ {
        self.layers.iter().map(move |layer| layer.layer(format))
    }
}

impl<T: Real> Trainable<T> for Sequence {
    fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| T::trainable(&**layer).parameters()).sum()
    }

    fn initialize(&self, mut parameters: &mut [T], rng: &mut ChaCha8Rng) {
        for layer in &self.layers {
            let layer = T::trainable(&**layer);
            let (own, rest) = parameters.split_at_mut(layer.parameters());
            layer.initialize(own, rng);
            parameters = rest;
        }
    }

    fn mark_decayed(&self, mut marks: &mut [bool]) {
        for layer in &self.layers {
            let layer = T::trainable(&**layer);
            let (own, rest) = marks.split_at_mut(layer.parameters());
            layer.mark_decayed(own);
            marks = rest;
        }
    }

    fn fake_quantize(&self, mut parameters: &mut [T]) {
        for layer in &self.layers {
            let layer = T::trainable(&**layer);
            let (own, rest) = parameters.split_at_mut(layer.parameters());
            layer.fake_quantize(own);
            parameters = rest;
        }
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, context: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        for (layer, own) in self.with_parameters(parameters) {
            T::trainable(layer).inverse(own, batch, context, log_det, tape);
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
            let layer = T::trainable(&**layer);
            let (rest, own) = parameters.split_at(parameters.len() - layer.parameters());
            let (rest_gradient, own_gradient) = parameter_gradient.split_at_mut(rest.len());
            layer.backward(own, tape, gradient, log_det_gradient, own_gradient);
            (parameters, parameter_gradient) = (rest, rest_gradient);
        }
    }
}

impl Sequence {
    /// Lets every layer start from the rows that reach it, `context` with them.
    pub fn initialize_by<T: Real>(&self, mut parameters: &mut [T], batch: &mut Batch<T>, context: &[T]) {
        let mut log_det = vec![T::zero(); batch.rows()];
        let mut tape = Tape::default();
        for (index, layer) in self.layers.iter().enumerate() {
            let layer = T::trainable(&**layer);
            let (own, rest) = parameters.split_at_mut(layer.parameters());
            layer.initialize_by(own, batch);
            if index + 1 < self.layers.len() {
                layer.inverse(own, batch, context, &mut log_det, &mut tape);
                tape.clear();
            }
            parameters = rest;
        }
    }
}

/// The composition of layers in order: what repeats becomes an array.
///
/// # Panics
/// If there are no layers.
#[must_use]
pub fn compose(layers: Vec<Layer>) -> Layer {
    let repeats = |period: usize| {
        layers.len().is_multiple_of(period) && layers.iter().zip(&layers[period..]).all(|(a, b)| a == b)
    };
    let period = (1..layers.len()).find(|period| repeats(*period)).unwrap_or(layers.len());
    let times = layers.len() / period;
    let mut unit = layers.into_iter().take(period).rev();
    let last = unit.next().expect("a flow has layers");
    let unit = unit.fold(last, |rest, layer| layer.then(rest));
    if times > 1 { Layer::Repeat(times, Box::new(unit)) } else { unit }
}

#[cfg(test)]
mod tests {
    use super::super::{Permute, Reverse, Standardize};
    use super::*;

    #[test]
    fn what_repeats_becomes_an_array() {
        let (a, b) = (Layer::from(Permute { features: 2 }), Layer::from(Reverse {}));
        let c = Layer::from(Standardize { features: 2 });
        let text = |layers: &[&Layer]| compose(layers.iter().map(|layer| (*layer).clone()).collect()).rust_type();
        assert_eq!(text(&[&a]), "Permute<2>");
        assert_eq!(text(&[&a, &a, &a]), "[Permute<2>; 3]");
        assert_eq!(text(&[&a, &b, &a, &b]), "[Chain<Permute<2>, Reverse>; 2]");
        assert_eq!(text(&[&a, &b, &c]), "Chain<Permute<2>, Chain<Reverse, Standardize<2>>>");
        assert_eq!(text(&[&a, &b, &a]), "Chain<Permute<2>, Chain<Reverse, Permute<2>>>");
    }
}
