//! All nets of a flow, quantized one after the other.

use super::Quantized;
use super::readings::{Judges, Readings, clearly_below, mean, pass};
use super::report::{FineTuning, QuantizedLayer, Report};
use crate::export::Written;
use crate::image::Image;
use crate::layers::{Layer, Piece, Rows, Trained};
use crate::model::Body;
use crate::model::architecture::NumberFormat;
use crate::net::{RangeMethod, Ranges};
use crate::train::Flow;

/// A flow with its nets quantized.
///
/// Nets are quantized in the order in which a reading meets them, each on what the quantized ones before it give, so that
/// later ones make up for the errors of earlier ones. The ranges of a net's activations are calibrated by every method.
/// The first leaves most room for what was never seen, so another one takes its place only if the held-back readings lose
/// clearly less by it, while the layers behind the net are exact.
#[derive(Debug)]
pub(super) struct Pass {
    pub flow: Flow,
    pieces: Vec<Piece>,
    /// Of the layers that have nets.
    pub nets: Vec<Net>,
    /// Of the whole flow, in nats.
    pub loss: f64,
}

/// A layer with its net quantized, and the held-back readings behind it.
struct Candidate {
    losses: Vec<f64>,
    method: RangeMethod,
    piece: Piece,
    ranges: Vec<Ranges>,
    judges: Judges,
}

/// What became of one net.
#[derive(Clone, Debug)]
pub(super) struct Net {
    /// Which layer of the flow, from 0.
    pub index: usize,
    layer: Layer,
    /// `None` for a net that keeps its f32 weights.
    quantization: Option<(RangeMethod, Vec<Ranges>)>,
}

impl Pass {
    /// Quantizes all nets but those of the layers `promoted`.
    pub fn new(flow: &Flow, readings: &Readings, promoted: &[usize]) -> Self {
        let Readings { mut fitted, mut held_back } = readings.clone();
        let mut all = Self { flow: flow.clone(), pieces: Vec::new(), nets: Vec::new(), loss: 0.0 };
        for (index, (trained, parameters)) in flow.sequence.with_parameters(&flow.parameters).enumerate() {
            let has_net = trained.has_net_to_quantize();
            let candidates = if has_net && !promoted.contains(&index) { &RangeMethod::ALL[..] } else { &[] };
            let candidate = |method: &RangeMethod| {
                let (piece, ranges) = quantized(trained, parameters, &fitted, *method);
                let mut judges = held_back.clone();
                with_view(&piece, |layer| judges.pass(layer));
                Candidate { losses: judges.losses(flow, index + 1), method: *method, piece, ranges, judges }
            };
            let best = candidates
                .iter()
                .map(candidate)
                .reduce(|best, other| if clearly_below(&other.losses, &best.losses) { other } else { best });
            let (piece, quantization) = match best {
                Some(Candidate { losses, method, piece, ranges, judges }) => {
                    (all.loss, held_back) = (mean(&losses), judges);
                    (piece, Some((method, ranges)))
                }
                None => {
                    let piece = exact(trained, parameters);
                    with_view(&piece, |layer| held_back.pass(layer));
                    if has_net {
                        all.loss = mean(&held_back.losses(flow, index + 1));
                    }
                    (piece, None)
                }
            };
            if has_net {
                all.nets.push(Net { index, layer: piece.0.clone(), quantization });
            }
            with_view(&piece, |layer| drop(pass(&mut fitted, layer)));
            all.pieces.push(piece);
        }
        all
    }

    /// This, or another that loses less.
    pub fn or(self, other: Self) -> Self {
        if other.loss < self.loss { other } else { self }
    }

    /// The result; `alone` are the nets' losses while the others are exact, of those that are quantized.
    pub fn finish(self, budget: f64, rows: usize, fine_tuning: Option<FineTuning>, alone: &[f64]) -> Quantized {
        let layers = self.nets.into_iter().zip(alone).map(|(net, alone)| {
            let (method, matrices) =
                net.quantization.map_or((None, Vec::new()), |(method, ranges)| (Some(method), ranges));
            let (format, loss) = match method {
                Some(_) => (NumberFormat::Int8, *alone),
                None => (NumberFormat::Float, 0.0),
            };
            QuantizedLayer { layer: name(&net.layer), format, loss, method, matrices }
        });
        let report = Report { budget, rows, loss: self.loss, fine_tuning, layers: layers.collect() };
        Quantized { written: Written::new(&self.flow, self.pieces), flow: self.flow, report }
    }
}

/// The loss of each net quantized by the method that it has while all other layers are exact, against the flow that it is
/// part of; 0 of one that keeps its f32 weights.
pub(super) fn losses_alone(of: &Pass, readings: &Readings) -> Vec<f64> {
    let Readings { mut fitted, held_back } = readings.clone();
    let mut held_back = held_back.against(&of.flow);
    let mut nets = of.nets.iter().peekable();
    let mut losses = Vec::new();
    for (index, (trained, parameters)) in of.flow.sequence.with_parameters(&of.flow.parameters).enumerate() {
        if let Some(net) = nets.next_if(|net| net.index == index) {
            losses.push(net.quantization.as_ref().map_or(0.0, |(method, _)| {
                let (piece, _) = quantized(trained, parameters, &fitted, *method);
                let mut judges = held_back.clone();
                with_view(&piece, |layer| judges.pass(layer));
                mean(&judges.losses(&of.flow, index + 1))
            }));
        }
        let piece = exact(trained, parameters);
        with_view(&piece, |layer| {
            held_back.pass(layer);
            pass(&mut fitted, layer);
        });
    }
    losses
}

fn exact(trained: &dyn Trained, parameters: &[f32]) -> Piece {
    let mut image = Image::default();
    trained.write(parameters, &mut image);
    (trained.layer(NumberFormat::Float), image.0)
}

fn quantized(trained: &dyn Trained, parameters: &[f32], rows: &Rows, method: RangeMethod) -> (Piece, Vec<Ranges>) {
    let mut image = Image::default();
    let ranges = trained.write_int8(parameters, rows, method, &mut image).expect("a layer with a net to quantize");
    ((trained.layer(NumberFormat::Int8), image.0), ranges)
}

fn with_view(piece: &Piece, run: impl FnOnce(&dyn crate::layers::View)) {
    let body = Body::new(&piece.1);
    run(&*piece.0.view(&mut body.as_bytes()).expect("a layer writes what it is"));
}

/// The name of a layer's type, without its shapes.
fn name(layer: &Layer) -> String {
    layer.rust_type().chars().take_while(|letter| *letter != '<').collect()
}
